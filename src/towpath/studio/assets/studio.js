// What a page does beside being read: times in the reader's zone, copying, following a run.
"use strict";
(function () {
  const dates = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

  function dress(root) {
    for (const time of root.querySelectorAll("time[datetime]")) {
      if (time.dataset.form === "date") time.textContent = dates.format(new Date(time.dateTime));
    }
    for (const button of root.querySelectorAll("button.copy")) button.hidden = false;
    for (const log of root.querySelectorAll("[data-follow]")) log.scrollTop = log.scrollHeight;
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });

  // A command may take seconds: its button says that it is at work, and is pressed once.
  document.addEventListener("submit", (event) => {
    const button = event.target.querySelector("button[data-doing]");
    if (!button) return;
    button.dataset.word = button.textContent;
    button.textContent = `${button.dataset.doing}…`;
    button.setAttribute("aria-busy", "true");
    setTimeout(() => { button.disabled = true; });  // later: what is disabled is not sent
  });
  // The command beside a form is that of what stands in the form now.
  const quote = (word) => /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
  function tellCommand(form) {
    const command = form.nextElementSibling.querySelector("code"), copy = form.nextElementSibling.querySelector(".copy");
    const words = [form.dataset.command];
    for (const field of form.querySelectorAll("[data-option]")) {
      const name = field.name.split(".").slice(1).join("."), isFlag = field.type === "checkbox";
      const was = form.elements[`was.${field.name}`]?.value ?? "";
      if (isFlag ? !field.checked : field.value === was) continue;
      words.push(field.dataset.option);
      if (!isFlag) words.push(quote(name ? `${name}=${field.value}` : field.value));
    }
    form.dataset.first ??= command.textContent;
    command.textContent = copy.dataset.copy = words.length > 1 ? words.join(" ") : form.dataset.first;
  }
  document.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-command]");
    if (form) tellCommand(form);
  });
  // What is not asked for does not stand in the address.
  document.addEventListener("formdata", (event) => {
    if (event.target.method !== "get") return;
    const empty = [...event.formData].filter(([, value]) => value === "").map(([name]) => name);
    for (const name of empty) if (event.formData.getAll(name).every((value) => value === "")) event.formData.delete(name);
  });
  addEventListener("pageshow", () => {  // come back to by the browser's own button
    for (const button of document.querySelectorAll("button[aria-busy]")) {
      button.textContent = button.dataset.word;
      button.removeAttribute("aria-busy");
      button.disabled = false;
    }
    for (const form of document.querySelectorAll("form[data-command]")) tellCommand(form);
  });

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select");
    const find = document.getElementById("find");
    if (event.key === "/" && find && !typing) { event.preventDefault(); find.focus(); }
  });

  // A graph that is larger than its place begins where the chosen step is.
  function showChosen(drawing) {
    const chosen = drawing.querySelector(".is-selected");
    if (!chosen) return;
    const place = drawing.getBoundingClientRect(), box = chosen.getBoundingClientRect();
    if (box.bottom > place.bottom) drawing.scrollTop += (box.top + box.bottom - place.top - place.bottom) / 2;
    if (box.right > place.right) drawing.scrollLeft += (box.left + box.right - place.left - place.right) / 2;
  }

  // A run that goes on: each part whose HTML is another is put in its place, nothing else moves.
  async function refresh() {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.title = page.title;
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = page.querySelector(`[data-live="${part.dataset.live}"]`);
      if (next && takesOver(part, next)) putInPlace(part, next);
    }
    if (!page.querySelector("[data-stream]")) stop();
  }
  // Whether a part is another; what a reader has opened in it stays open.
  function takesOver(part, next) {
    dress(next);
    const titleOf = (fold) => fold.querySelector("summary")?.textContent;
    const open = new Map([...part.querySelectorAll("details")].map((fold) => [titleOf(fold), fold.open]));
    for (const fold of next.querySelectorAll("details")) fold.open = open.get(titleOf(fold)) ?? fold.open;
    // The log of the same step grows by what comes (below): its lines are not loaded again.
    const isSameLog = part.dataset.log && part.dataset.log === next.dataset.log;
    if (isSameLog && "growing" in part.dataset === "growing" in next.dataset) return false;
    for (const name of ["log", "next", "line", "growing"]) {
      if (name in next.dataset) part.dataset[name] = next.dataset[name]; else delete part.dataset[name];
    }
    return next.innerHTML !== part.innerHTML;
  }
  // Where a reader is stays: what is scrolled, the link that has the focus, the end of a log.
  function putInPlace(part, next) {
    const log = part.querySelector("[data-follow]");
    const follows = !log || log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    const place = log ? log.scrollTop : 0;
    const kept = [...part.querySelectorAll("[data-keep]")].map((e) => [e.dataset.keep, e.scrollLeft, e.scrollTop]);
    const focus = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    part.replaceChildren(...next.childNodes);
    for (const [name, left, top] of kept) part.querySelector(`[data-keep="${name}"]`)?.scrollTo(left, top);
    if (focus) [...part.querySelectorAll("a")].find((a) => a.getAttribute("href") === focus)?.focus({ preventScroll: true });
    const nextLog = part.querySelector("[data-follow]");
    if (nextLog) nextLog.scrollTop = follows ? nextLog.scrollHeight : place;
  }

  // The log of the step that is shown: what it has grown by is asked for, and stands below the rest.
  let metrics = -1, asking = false, atEnd = true;
  async function grow() {
    const part = document.querySelector("[data-log]");
    if (!part || document.hidden || asking) return;
    asking = true;
    try {
      const place = part.dataset.next, answer = await fetch(`${part.dataset.log}?from=${place}&line=${part.dataset.line}`);
      if (!answer.ok || place !== part.dataset.next) return;
      const more = await answer.json(), lines = part.querySelector(".lines");
      if (more.metrics !== metrics) { if (metrics >= 0) await refresh(); metrics = more.metrics; }
      if (!more.html || !part.isConnected) return;
      if (!lines) { location.reload(); return; }
      lines.querySelector(".partial")?.remove();
      if (lines.hidden) { lines.hidden = false; lines.previousElementSibling.remove(); }
      lines.append(...new DOMParser().parseFromString(`<pre>${more.html}</pre>`, "text/html").querySelector("pre").childNodes);
      while (lines.childElementCount > 5000) lines.firstElementChild.remove();
      part.dataset.next = more.next; part.dataset.line = more.line;
      if (atEnd) lines.scrollTop = lines.scrollHeight;
    } finally { asking = false; }
  }
  function showFollow() {
    const button = document.querySelector(".follow");
    if (button) { button.hidden = !document.querySelector("[data-growing]"); button.setAttribute("aria-pressed", String(atEnd)); }
  }
  document.addEventListener("click", (event) => {
    if (!event.target.closest(".follow")) return;
    atEnd = !atEnd; showFollow();
    const lines = document.querySelector(".log.lines");
    if (atEnd && lines) lines.scrollTop = lines.scrollHeight;
  });
  document.addEventListener("wheel", (event) => {
    if (event.deltaY < 0 && event.target.closest(".log.lines")) { atEnd = false; showFollow(); }
  }, { passive: true });
  showFollow();
  if (document.querySelector("[data-stream]")) setInterval(() => { if (document.querySelector("[data-stream]")) { grow(); showFollow(); } }, 700);

  // A browser gives six connections to a host, for all its pages: a hidden page holds none, and of
  // those that are seen three have a stream. The rest look again every two seconds.
  const live = document.querySelector("[data-stream]");
  let stream = null, timer = 0, poll = 0, leave = null, follows = false, place = live?.dataset.from ?? 0;
  function stop() {
    if (stream) stream.close();
    if (leave) leave();
    clearInterval(poll);
    stream = leave = null;
    follows = false;
  }
  function takeSeat(number) {
    return new Promise((asked) => navigator.locks.request(
      `towpath-stream-${number}`, { ifAvailable: true },
      (lock) => { const held = lock && new Promise((left) => { leave = left; }); asked(); return held; },
    ));
  }
  async function start() {
    if (!live || follows || document.hidden) return;
    follows = true;
    for (let seat = 0; seat < 3 && navigator.locks && !leave; seat += 1) await takeSeat(seat);
    if (!follows) { if (leave) leave(); return; }
    if (navigator.locks && !leave) { poll = setInterval(refresh, 2000); return; }
    // From the byte that the page was written at; opened again, from that where it was closed.
    stream = new EventSource(`${live.dataset.stream}?from=${place}`);
    stream.onmessage = (event) => { place = event.lastEventId; clearTimeout(timer); timer = setTimeout(refresh, 150); };
    stream.onerror = () => {  // refused, not broken off: then it would come again by itself
      if (stream && stream.readyState === EventSource.CLOSED) { stop(); follows = true; poll = setInterval(refresh, 2000); }
    };
    stream.addEventListener("ended", () => { stop(); grow().then(refresh); });
  }
  document.addEventListener("visibilitychange", () => { if (document.hidden) stop(); else { refresh(); start(); } });
  dress(document);
  document.querySelectorAll(".drawing").forEach(showChosen);
  start();
})();
