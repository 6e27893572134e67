"""Git, and nothing else that calls its command line: repositories, refs, objects, remotes."""

from towpath.backends.git.git_objects import Stamp, commit_beside, tag
from towpath.backends.git.refs import Ref
from towpath.backends.git.repository import Identity, Repository, State, locked

__all__ = [
    "Identity",
    "Ref",
    "Repository",
    "Stamp",
    "State",
    "commit_beside",
    "locked",
    "tag",
]
