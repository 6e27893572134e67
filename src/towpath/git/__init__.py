"""Git, and nothing else that calls its command line: repositories, refs, objects, remotes."""

from towpath.git.objects import Stamp, commit_beside, tag
from towpath.git.refs import Ref
from towpath.git.repository import Identity, Repository, State, locked

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
