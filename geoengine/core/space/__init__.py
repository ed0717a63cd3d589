"""Where things are: distances on the ellipsoid, grids over zones, boxes, cells."""
