"""SXM: bytes moved between lanes and streams. What stays in a superlane is done by :mod:`rtl.sxm.tile`, what crosses
superlanes by :mod:`rtl.sxm.across`; :mod:`rtl.sxm.site` puts a tile between its SRs."""

from rtl.sxm.across import SxmAcross
from rtl.sxm.site import SxmSite
from rtl.sxm.tile import SxmTile

__all__ = ["SxmAcross", "SxmSite", "SxmTile"]
