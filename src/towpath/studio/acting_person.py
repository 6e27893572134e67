"""Who acts by a page where that is not whom the server runs as."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

# A signature would be that of whom the server runs as: there is none, and a stage that wants one
# refuses the approval.
_UNSIGNED = {
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "tag.forceSignAnnotated": "false",
    "gpg.program": "false",
    "gpg.ssh.program": "false",
    "gpg.x509.program": "false",
}
# By these a command would act at a forge or a remote as whom the server runs as.
_SERVER_SECRETS = ("GITHUB_TOKEN", "GH_TOKEN", "SSH_AUTH_SOCK")


class ActingPerson(Struct, frozen=True):
    """Who acts, as Git writes it: ``name`` and ``address``."""

    name: str
    address: str

    def dress_environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The variables with which a command acts as this person, with nobody else's key or
        token."""
        own = {name: value for name, value in environment.items() if name not in _SERVER_SECRETS}
        for role in ("GIT_AUTHOR", "GIT_COMMITTER"):
            own |= {f"{role}_NAME": self.name, f"{role}_EMAIL": self.address}
        own["LOGNAME"] = self.name  # whom a run's record names
        begin = own.get("GIT_CONFIG_COUNT", "0")
        first = int(begin) if begin.isdecimal() else 0
        for number, (key, value) in enumerate(_UNSIGNED.items(), first):
            own |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return own | {"GIT_CONFIG_COUNT": str(first + len(_UNSIGNED))}
