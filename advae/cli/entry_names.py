"""Messages about an entry that a command names, or that was already in the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from advae.cli.session import Session
    from advae.records import Manifest


def name_entry(session: Session, manifest: Manifest, tag: str) -> None:
    """Give a tag to an entry, and tell the user if another entry had it before."""
    before = session.registry.tag(manifest, tag)
    if before not in (None, manifest.id):
        session.tell(f"tag {tag} moved from {before} to {manifest.id}")


def say_found(manifest: Manifest) -> str:
    """Return the end of the message that an entry was already in the registry, and whether it was imported."""
    imported = f", imported {say_moment(manifest.imported)}" if manifest.imported else ""
    return f"is already in the registry{imported}"


def say_moment(moment: str) -> str:
    """Return a stored moment for people: date and time to the second, in UTC."""
    return f"{moment[:19].replace('T', ' ')} UTC"
