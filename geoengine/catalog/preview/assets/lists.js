// The lists beside the map: stores, overlaps and warnings; searched, sorted, a page at a time.

const PAGE_ROWS = 40;
const PRINTED_ROWS = 1000; // twenty sheets of paper
const areaName = (areaIx) => scene.names[areaIx];
const every = (count) => Array.from({ length: count }, (_, ix) => ix);
const hasPeople = scene.people.some((count) => count !== null);
// How much of an area the neighbour has, too, that has most of it.
const mostShared = (areaIx) =>
  Math.max(0, ...(overlapsOf.get(areaIx) ?? []).map((ix) => shareOf(areaIx, ix)));

// A list: its columns, how a row reads, which areas it is about. A column without `key` is not
// sorted by; `number` ranges right.
const LISTS = {
  stores: {
    title: "Areas",
    count: areaCount,
    words: (ix) => [
      areaName(ix), scene.ids[ix], scene.storeIds[ix], settingOf(ix), reachInWords(ix), whyOf(ix),
    ],
    areas: (ix) => [ix],
    columns: [
      { title: "Area", cell: areaName, key: (ix) => areaName(ix).toLowerCase(), mark: settingOf },
      { title: "Setting", cell: (ix) => inWords(settingOf(ix)), key: (ix) => scene.setting[ix], close: true },
      { title: "Reach", cell: reachInWords, key: (ix) => `${scene.mode[ix]} ${String(scene.minutes[ix] ?? 0).padStart(6)}` },
      { title: "km²", cell: (ix) => threeDigits(scene.areaKm2[ix]), key: (ix) => scene.areaKm2[ix], number: true },
      ...(hasPeople
        ? [{ title: "People", cell: (ix) => (scene.people[ix] === null ? "" : aboutPeople(scene.people[ix])), key: (ix) => scene.people[ix] ?? -1, number: true }]
        : []),
      { title: "Shared", cell: (ix) => (mostShared(ix) ? percent(mostShared(ix)) : ""), key: mostShared, number: true },
    ],
  },
  overlaps: {
    title: "Overlaps",
    count: scene.overlaps.first.length,
    words: (ix) => [scene.overlaps.first[ix], scene.overlaps.second[ix]].flatMap((areaIx) => [areaName(areaIx), scene.ids[areaIx]]),
    areas: (ix) => [scene.overlaps.first[ix], scene.overlaps.second[ix]],
    note: () => {
      const { unlistedCount, unmeasuredCount } = scene.overlaps;
      const notes = [];
      if (unlistedCount) notes.push(`${unlistedCount.toLocaleString("en")} weaker pairs are not listed`);
      if (unmeasuredCount) notes.push(`${unmeasuredCount.toLocaleString("en")} pairs that lie near one another were not measured`);
      return notes.join("; ");
    },
    columns: [
      { title: "Reach", cell: (ix) => areaName(scene.overlaps.first[ix]), key: (ix) => areaName(scene.overlaps.first[ix]).toLowerCase(), mark: (ix) => settingOf(scene.overlaps.first[ix]) },
      { title: "of it", cell: (ix) => percent(scene.overlaps.firstShare[ix]), key: (ix) => scene.overlaps.firstShare[ix], number: true },
      { title: "also in", cell: (ix) => areaName(scene.overlaps.second[ix]), key: (ix) => areaName(scene.overlaps.second[ix]).toLowerCase(), mark: (ix) => settingOf(scene.overlaps.second[ix]) },
      { title: "of that", cell: (ix) => percent(scene.overlaps.secondShare[ix]), key: (ix) => scene.overlaps.secondShare[ix], number: true },
    ],
  },
  warnings: {
    title: "Warnings",
    count: scene.warnings.length,
    words: (ix) => [scene.warnings[ix]],
    areas: () => [],
    note: () => (scene.unshownCount ? `${scene.unshownCount.toLocaleString("en")} more: geoengine check --all lists them` : ""),
    columns: [{ title: "Warning", cell: (ix) => scene.warnings[ix] }],
  },
};
const inWords = (setting) => (setting === "alone" ? "no store" : setting);

const list = { name: "stores", sorted: null, isDown: false, page: 0, pageRows: PAGE_ROWS, rows: every(areaCount) };
const text = (tag, content, className = "") => {
  const element = document.createElement(tag);
  element.textContent = content;
  if (className) element.className = className;
  return element;
};

// The rows of the list that hold every word of the search, in the order asked for.
function find(search) {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const { count, words: wordsOf, columns } = LISTS[list.name];
  list.rows = every(count).filter((ix) => {
    const heap = wordsOf(ix).join("\n").toLowerCase();
    return words.every((word) => heap.includes(word));
  });
  if (list.sorted !== null) {
    const keys = every(count).map(columns[list.sorted].key);
    const sign = list.isDown ? -1 : 1;
    list.rows.sort((a, b) => sign * (keys[a] < keys[b] ? -1 : keys[a] > keys[b] ? 1 : 0) || a - b);
  }
  shown.found = null;
  if (list.name === "stores" && words.length) {
    shown.found = new Uint8Array(areaCount);
    list.rows.forEach((ix) => (shown.found[ix] = 1));
  }
}

function fillTable() {
  const { columns, areas, note, count } = LISTS[list.name];
  const pageCount = Math.max(1, Math.ceil(list.rows.length / list.pageRows));
  list.page = Math.min(list.page, pageCount - 1);
  const rows = list.rows.slice(list.page * list.pageRows, (list.page + 1) * list.pageRows);
  const [head, body] = [document.querySelector("#table thead"), document.querySelector("#table tbody")];
  head.replaceChildren(headRow(columns));
  body.replaceChildren(...rows.map((ix) => bodyRow(columns, areas(ix), ix)));
  const found = list.rows.length.toLocaleString("en");
  const all = count.toLocaleString("en");
  const notes = [found === all ? `${all} in all` : `${found} of ${all}`, note?.() ?? ""];
  document.getElementById("count").textContent = notes.filter(Boolean).join("; ");
  fillPages(pageCount);
}

function headRow(columns) {
  const row = document.createElement("tr");
  columns.forEach(({ title, key, number }, ix) => {
    const cell = document.createElement("th");
    cell.scope = "col";
    if (number) cell.className = "number";
    const isSorted = list.sorted === ix;
    if (isSorted) cell.setAttribute("aria-sort", list.isDown ? "descending" : "ascending");
    if (key) {
      const button = text("button", title + (isSorted ? (list.isDown ? " ↓" : " ↑") : ""));
      button.type = "button";
      button.dataset.column = ix;
      cell.append(button);
    } else {
      cell.textContent = title;
    }
    row.append(cell);
  });
  return row;
}

function bodyRow(columns, areaIxs, ix) {
  const row = document.createElement("tr");
  row.dataset.row = ix;
  if (areaIxs.length && areaIxs.every((areaIx) => shown.chosen.includes(areaIx)) && areaIxs.length === shown.chosen.length) {
    row.className = "chosen";
  }
  columns.forEach(({ cell, number, close, mark }, column) => {
    const data = document.createElement("td");
    if (number) data.className = "number";
    if (close) data.className = "close";
    if (column === 0 && areaIxs.length) {
      const button = text("button", cell(ix));
      button.type = "button";
      data.append(button);
    } else {
      data.textContent = cell(ix);
    }
    if (mark) data.classList.add("mark", mark(ix));
    row.append(data);
  });
  return row;
}

function fillPages(pageCount) {
  const nav = document.getElementById("pages");
  nav.hidden = pageCount === 1;
  const button = (label, name, target) => {
    const element = text("button", label);
    element.type = "button";
    element.setAttribute("aria-label", name);
    element.disabled = target < 0 || target >= pageCount;
    element.dataset.page = target;
    return element;
  };
  nav.replaceChildren(
    button("‹", "Page before", list.page - 1),
    text("span", `${list.page + 1} of ${pageCount}`),
    button("›", "Next page", list.page + 1),
  );
}
