"""Certificates: robust accuracy from below, by proof."""

from advae.certificates.certificate_table import (
    ALPHA,
    CERTIFICATES,
    SAMPLES,
    SELECT,
    Certificate,
    Traits,
    find_certificate,
)
from advae.certificates.certified_images import CertifiedImages, Images, ProofProgress

__all__ = [
    "ALPHA",
    "CERTIFICATES",
    "SAMPLES",
    "SELECT",
    "Certificate",
    "CertifiedImages",
    "Images",
    "ProofProgress",
    "Traits",
    "find_certificate",
]
