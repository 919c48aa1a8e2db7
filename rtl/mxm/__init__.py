"""MXM: the weight-stationary planes (:mod:`rtl.mxm.plane`), what multiplies fp16 for two of them
(:mod:`rtl.mxm.fp16_plane`), and the edge site that feeds them (:mod:`rtl.mxm.site`)."""

from rtl.mxm.fp16_plane import MxmFp16Plane
from rtl.mxm.plane import MxmPlane, MxmPlaneRow
from rtl.mxm.site import MxmSite
from rtl.mxm.supercell import MxmSupercell
from rtl.mxm.tile import MxmTile

__all__ = ["MxmFp16Plane", "MxmPlane", "MxmPlaneRow", "MxmSite", "MxmSupercell", "MxmTile"]
