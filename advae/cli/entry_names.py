"""What commands say of an entry that they name, or that was there already."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from advae.cli.session import Session
    from advae.records import Manifest


def name_entry(session: Session, manifest: Manifest, tag: str) -> None:
    """Let a tag stand for an entry, and tell people where it stood for another before."""
    before = session.registry.tag(manifest, tag)
    if before not in (None, manifest.id):
        session.tell(f"tag {tag} stood for {before}, now for {manifest.id}")


def say_found(manifest: Manifest) -> str:
    """Return how to say that an entry was there already: and whether it was imported."""
    imported = f", imported {say_moment(manifest.imported)}" if manifest.imported else ""
    return f"was there already{imported}"


def say_moment(moment: str) -> str:
    """Return a stored moment as people read it."""
    return f"{moment[:19].replace('T', ' ')} UTC"
