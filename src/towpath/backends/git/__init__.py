"""Git, and nothing else that calls its command line: repositories, refs, objects, remotes."""

from towpath.backends.git.git_objects import CommitStamp, commit_beside, make_tag_object
from towpath.backends.git.refs import Ref
from towpath.backends.git.repository import Identity, Repository, WorkTreeState, hold_lock

__all__ = [
    "CommitStamp", "Identity", "Ref", "Repository", "WorkTreeState", "commit_beside",
    "hold_lock", "make_tag_object",
]  # fmt: skip
