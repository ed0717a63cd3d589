// The furniture of a map: graticule, frame, degrees, scale and title.

const NEATLINE_PX = 6;
const STEPS_DEG = [45, 30, 20, 10, 5, 2, 1, 1 / 2, 1 / 3, 1 / 6, 1 / 12, 1 / 30, 1 / 60];
const FINE_STEPS_DEG = [30, 20, 10, 5, 2, 1].map((seconds) => seconds / 3600);

// The meridians and parallels of a pane: [{at: pixel, degrees}], and the step between them.
function graticule(pane) {
  const pxOfDegree = sheet.scale * RADIAN;
  const wanted = Math.max(pane.width / 6, 90) / pxOfDegree;
  const steps = [...STEPS_DEG, ...FINE_STEPS_DEG];
  const step = steps.findLast((one) => one >= wanted) ?? steps[0];
  const west = (sheet.x - pane.width / 2 / sheet.scale) / RADIAN;
  const east = (sheet.x + pane.width / 2 / sheet.scale) / RADIAN;
  const south = latitudeOf(sheet.y - height / 2 / sheet.scale) / RADIAN;
  const north = latitudeOf(sheet.y + height / 2 / sheet.scale) / RADIAN;
  const meridians = [];
  for (let ix = Math.floor(west / step); ix * step <= east; ix++) {
    meridians.push({ at: xOf(pane, ix * step * RADIAN), degrees: ix * step, ix });
  }
  const parallels = [];
  for (let ix = Math.floor(south / step); ix * step <= north; ix++) {
    parallels.push({ at: yOf(mercatorY(ix * step * RADIAN)), degrees: ix * step, ix });
  }
  return { step, meridians, parallels };
}

function drawGraticule(pane, { meridians, parallels }) {
  ink.beginPath();
  for (const { at } of meridians) {
    ink.moveTo(Math.round(at) + 0.5, 0);
    ink.lineTo(Math.round(at) + 0.5, height);
  }
  for (const { at } of parallels) {
    ink.moveTo(pane.left, Math.round(at) + 0.5);
    ink.lineTo(pane.left + pane.width, Math.round(at) + 0.5);
  }
  ink.strokeStyle = colours.line;
  ink.lineWidth = 0.8;
  ink.stroke();
}

// The frame of a printed map: a band that is dark from every other line to the next, with degrees.
function drawNeatline(pane, { step, meridians, parallels }) {
  const band = NEATLINE_PX;
  const [right, bottom] = [pane.left + pane.width, height];
  ink.fillStyle = colours.paper;
  for (const [x, y, w, h] of frame(pane, band)) ink.fillRect(x, y, w, h);
  ink.fillStyle = colours.ink;
  const inset = { west: pane.left + band, east: right - band, north: band, south: bottom - band };
  meridians.forEach(({ at, ix }, n) => {
    if (ix % 2) return;
    const from = Math.max(at, inset.west);
    const to = Math.min(meridians[n + 1]?.at ?? right, inset.east);
    if (to > from) [1.5, bottom - band + 1.5].forEach((y) => ink.fillRect(from, y, to - from, band - 3));
  });
  parallels.forEach(({ at, ix }, n) => {
    if (ix % 2) return;
    const from = Math.min(at, inset.south);
    const to = Math.max(parallels[n + 1]?.at ?? 0, inset.north);
    if (from > to) [pane.left + 1.5, right - band + 1.5].forEach((x) => ink.fillRect(x, to, band - 3, from - to));
  });
  ink.strokeStyle = colours.ink;
  ink.lineWidth = 1;
  ink.strokeRect(pane.left + 0.5, 0.5, pane.width - 1, bottom - 1);
  ink.strokeRect(pane.left + band - 0.5, band - 0.5, pane.width - 2 * band + 1, bottom - 2 * band + 1);
  drawDegrees(pane, step, meridians, parallels);
}

const frame = (pane, band) => [
  [pane.left, 0, pane.width, band],
  [pane.left, height - band, pane.width, band],
  [pane.left, 0, band, height],
  [pane.left + pane.width - band, 0, band, height],
];

function drawDegrees(pane, step, meridians, parallels) {
  ink.font = `10.5px ${SERIF}`;
  const write = (text, x, y) => {
    ink.strokeStyle = colours.land;
    ink.lineWidth = 3;
    ink.strokeText(text, x, y);
    ink.fillStyle = colours.faint;
    ink.fillText(text, x, y);
  };
  ink.textBaseline = "top";
  for (const { at, degrees: value } of meridians) {
    if (at > pane.left + 24 && at < pane.left + pane.width - 80) {
      write(sexagesimal(((((value + 180) % 360) + 360) % 360) - 180, step, "E", "W"), at + 3, NEATLINE_PX + 3);
    }
  }
  ink.textBaseline = "bottom";
  for (const { at, degrees: value } of parallels) {
    if (at > 40 && at < height - 40) {
      write(sexagesimal(value, step, "N", "S"), pane.left + NEATLINE_PX + 4, at - 1);
    }
  }
}

// Degrees as maps write them, as finely as the lines stand.
function sexagesimal(value, step, positive, negative) {
  const seconds = Math.round(Math.abs(value) * 3600);
  const hemisphere = seconds === 0 ? "" : value < 0 ? ` ${negative}` : ` ${positive}`;
  const two = (number) => String(number).padStart(2, "0");
  let text = `${Math.floor(seconds / 3600)}°`;
  if (step < 1) text += ` ${two(Math.floor(seconds / 60) % 60)}′`;
  if (step < 1 / 60) text += ` ${two(seconds % 60)}″`;
  return text + hemisphere;
}

function drawScale() {
  const metresAPx = (EARTH_M * Math.cos(latitudeOf(sheet.y))) / sheet.scale;
  const most = metresAPx * Math.min(220, panes()[0].width / 2.6);
  const power = 10 ** Math.floor(Math.log10(most));
  const length = [5, 2, 1].map((digit) => digit * power).find((one) => one <= most);
  const [px, left, top] = [length / metresAPx, 22, height - 32];
  ink.fillStyle = colours.land;
  ink.globalAlpha = 0.85;
  ink.fillRect(left - 8, top - 18, px + 56, 34);
  ink.globalAlpha = 1;
  ink.strokeStyle = ink.fillStyle = colours.ink;
  ink.lineWidth = 1;
  ink.strokeRect(left + 0.5, top + 0.5, px, 5);
  for (const quarter of [0, 2]) ink.fillRect(left + (quarter * px) / 4, top + 0.5, px / 4, 5);
  ink.font = `11.5px ${SERIF}`;
  ink.textBaseline = "alphabetic";
  ink.fillText("0", left - 3, top - 5);
  ink.fillText(length < 1000 ? `${length} m` : `${length / 1000} km`, left + px - 8, top - 5);
}

function drawTitle(pane) {
  ink.font = `600 13px ${SERIF}`;
  ink.textBaseline = "top";
  const textWidth = ink.measureText(pane.title).width;
  const x = pane.left + pane.width - textWidth - 22;
  ink.fillStyle = colours.paper;
  ink.fillRect(x - 8, 22, textWidth + 16, 24);
  ink.strokeStyle = ink.fillStyle = colours.ink;
  ink.lineWidth = 1;
  ink.strokeRect(x - 7.5, 22.5, textWidth + 15, 23);
  ink.fillText(pane.title, x, 28);
}
