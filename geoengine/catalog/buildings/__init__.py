"""The outlines of buildings: taken in once, kept compactly, found by id or by place."""
