"use strict";

// What the page is about: columns of one row an area, told by page.py.
const scene = JSON.parse(document.getElementById("scene").textContent);
const areaCount = scene.ids.length;
const STEPS = 100000; // a degree, see packing.py
const WAYS = { walk: "on foot", drive: "by car", bike: "by bicycle", transit: "by bus or tram" };

const numberOf = new Int8Array(128).fill(-1);
[..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].forEach((digit, ix) => {
  numberOf[digit.charCodeAt(0)] = ix;
});

// The numbers of a text in the base 64 of source maps.
function unpack(text) {
  const numbers = [];
  let value = 0;
  let shift = 0;
  for (let ix = 0; ix < text.length; ix++) {
    const digit = numberOf[text.charCodeAt(ix)];
    value += (digit & 31) * 2 ** shift;
    shift += 5;
    if (digit < 32) {
      numbers.push(value & 1 ? -((value - 1) / 2) : value / 2);
      value = shift = 0;
    }
  }
  return numbers;
}

// The rings of an area that is no circle, as steps from its own place on: [[x, y, x, y, …], …].
function ringsOf(areaIx) {
  return scene.shapes[areaIx].split(" ").filter(Boolean).map((text) => {
    const ring = unpack(text);
    for (let ix = 2; ix < ring.length; ix++) ring[ix] += ring[ix - 2];
    return ring;
  });
}

const settingOf = (areaIx) => scene.settings[scene.setting[areaIx]];
const whyOf = (areaIx) => scene.reasons[scene.whyIx[areaIx]];
const isCircle = (areaIx) => scene.shapes[areaIx] === "";

// The overlaps of each area, as positions in their list; the strongest first.
const overlapsOf = new Map();
scene.overlaps.first.forEach((first, ix) => {
  for (const areaIx of [first, scene.overlaps.second[ix]]) {
    if (!overlapsOf.has(areaIx)) overlapsOf.set(areaIx, []);
    overlapsOf.get(areaIx).push(ix);
  }
});

const shareOf = (areaIx, ix) =>
  scene.overlaps.first[ix] === areaIx ? scene.overlaps.firstShare[ix] : scene.overlaps.secondShare[ix];

// --- in words ----------------------------------------------------------------------------------

function reachInWords(areaIx) {
  const way = WAYS[scene.modes[scene.mode[areaIx]]];
  const minutes = scene.minutes[areaIx];
  if (minutes === null) return isCircle(areaIx) ? metres(scene.circleM[areaIx]) : "drawn";
  return `${minutes} min ${way}`;
}

function metres(length) {
  if (length < 1000) return `${Math.round(length)} m`;
  return `${(length / 1000).toFixed(length < 10000 ? 1 : 0)} km`;
}

// The fourth digit is not known of anything here.
const threeDigits = (number) =>
  number < 1000 ? number.toPrecision(3) : Math.round(number).toLocaleString("en");

function aboutPeople(count) {
  const unit = 10 ** Math.max(1, Math.floor(Math.log10(Math.max(count, 1))) - 1);
  return (Math.round(count / unit) * unit).toLocaleString("en");
}

function percent(share) {
  return share > 0 && share < 0.01 ? "<1\u00a0%" : `${Math.round(share * 100)}\u00a0%`;
}

function degrees(value, positive, negative) {
  const turned = positive === "E" ? ((((value + 180) % 360) + 360) % 360) - 180 : value;
  return `${Math.abs(turned).toFixed(5)}° ${turned < 0 ? negative : positive}`;
}
