"""The marketer's files into a Book, with every fault by file, line and column."""

from __future__ import annotations

from geoengine.catalog.building.compile import Reading as Reading
from geoengine.catalog.building.compile import load as load
from geoengine.catalog.building.compile import read as read
from geoengine.catalog.geojson import stores_geojson as stores_geojson
from geoengine.catalog.geojson import zones_geojson as zones_geojson
from geoengine.catalog.keeping.added import Stamp as Stamp
from geoengine.catalog.keeping.added import stamp_of as stamp_of
from geoengine.catalog.keeping.cache import KEPT_PATTERNS as KEPT_PATTERNS
from geoengine.catalog.keeping.cache import default_folder as default_folder
from geoengine.catalog.keeping.compiler import GENTLE as GENTLE
from geoengine.catalog.keeping.compiler import Obtained as Obtained
from geoengine.catalog.keeping.compiler import obtain as obtain
from geoengine.catalog.schema import json_schema as json_schema
