// Where things are on the sheet: Mercator on a sphere, in radians, so that circles stay circles.

const RADIAN = Math.PI / 180;
const EARTH_M = 6371008.8; // mean radius, IUGG; a sphere is off by 0.3 % at most
const NORTHERNMOST = 85 * RADIAN; // Mercator ends before the pole does

const mercatorY = (lat) => {
  const bounded = Math.max(-NORTHERNMOST, Math.min(NORTHERNMOST, lat));
  return Math.log(Math.tan(Math.PI / 4 + bounded / 2));
};
const latitudeOf = (y) => 2 * Math.atan(Math.exp(y)) - Math.PI / 2;

// Every area's place, and its outline from there on; what is drawn each frame is only scaled.
const places = Array.from({ length: areaCount }, (_, areaIx) => {
  const lat = (scene.lat[areaIx] / STEPS) * RADIAN;
  return { x: (scene.lon[areaIx] / STEPS) * RADIAN, y: mercatorY(lat), lat };
});

function outlineOf(areaIx) {
  const { y } = places[areaIx];
  return ringsOf(areaIx).map((ring) => {
    const outline = new Float32Array(ring.length);
    for (let ix = 0; ix < ring.length; ix += 2) {
      outline[ix] = (ring[ix] / STEPS) * RADIAN;
      outline[ix + 1] = mercatorY(((scene.lat[areaIx] + ring[ix + 1]) / STEPS) * RADIAN) - y;
    }
    return outline;
  });
}

// A circle of metres around a place, as an outline from there on.
function circleAround(areaIx, radiusM) {
  const { lat, y } = places[areaIx];
  const angle = radiusM / EARTH_M;
  const outline = new Float32Array(2 * 72);
  for (let ix = 0; ix < 72; ix++) {
    const bearing = (ix / 72) * 2 * Math.PI;
    const sine = Math.sin(lat) * Math.cos(angle) + Math.cos(lat) * Math.sin(angle) * Math.cos(bearing);
    const there = Math.asin(sine);
    outline[2 * ix] = Math.atan2(
      Math.sin(bearing) * Math.sin(angle) * Math.cos(lat),
      Math.cos(angle) - Math.sin(lat) * sine,
    );
    outline[2 * ix + 1] = mercatorY(there) - y;
  }
  return [outline];
}

// What is drawn of an area, worked out when it is first looked at: the circle, and the reach in
// force, which may be the circle.
const knownCircles = new Map();
const knownReaches = new Map();

function once(known, areaIx, work) {
  if (!known.has(areaIx)) known.set(areaIx, work(areaIx));
  return known.get(areaIx);
}

const circleOf = (areaIx) =>
  once(knownCircles, areaIx, () =>
    scene.circleM[areaIx] === null ? [] : circleAround(areaIx, scene.circleM[areaIx]),
  );
const reachOf = (areaIx) =>
  isCircle(areaIx) ? circleOf(areaIx) : once(knownReaches, areaIx, outlineOf);

// Half the side of a square around each area that holds its reach and its circle, in radians.
const halves = places.map(
  ({ lat }, areaIx) => (1.01 * scene.extentM[areaIx]) / EARTH_M / Math.max(Math.cos(lat), 0.01),
);

// The box around several areas, in radians.
function boxOf(areaIxs) {
  const box = { west: Infinity, east: -Infinity, south: Infinity, north: -Infinity };
  for (const areaIx of areaIxs) {
    const { x, y } = places[areaIx];
    box.west = Math.min(box.west, x - halves[areaIx]);
    box.east = Math.max(box.east, x + halves[areaIx]);
    box.south = Math.min(box.south, y - halves[areaIx]);
    box.north = Math.max(box.north, y + halves[areaIx]);
  }
  return box;
}

// Whether a point, from the area's place on, lies in its reach: a line to the right crosses the
// outlines an odd number of times.
function isWithin(outlines, dx, dy) {
  let within = false;
  for (const outline of outlines) {
    for (let ix = 0, before = outline.length - 2; ix < outline.length; before = ix, ix += 2) {
      const [ax, ay] = [outline[ix], outline[ix + 1]];
      const [bx, by] = [outline[before], outline[before + 1]];
      if (ay > dy !== by > dy && dx < ((bx - ax) * (dy - ay)) / (by - ay) + ax) within = !within;
    }
  }
  return within;
}
