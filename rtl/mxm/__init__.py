"""MXM: the weight-stationary planes (:mod:`rtl.mxm.plane`) and the edge site that feeds them (:mod:`rtl.mxm.site`)."""

from rtl.mxm.plane import MxmPlane, MxmPlaneRow
from rtl.mxm.site import MxmSite
from rtl.mxm.supercell import MxmSupercell
from rtl.mxm.tile import MxmTile

__all__ = ["MxmPlane", "MxmPlaneRow", "MxmSite", "MxmSupercell", "MxmTile"]
