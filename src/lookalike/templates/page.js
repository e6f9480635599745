"use strict";

// Every part acts where its elements are; a page without them is left alone.

function sortable(table) {
  const heads = [...table.querySelectorAll("th")];
  const sort = column => {
    const head = heads[column], down = head.getAttribute("aria-sort") !== "descending";
    const text = row => row.cells[column].textContent.trim();
    const filled = row => text(row) !== "";
    const value = row => Number(text(row).replace(/ %$/, ""));
    const rows = [...table.tBodies[0].rows];
    const numbers = rows.filter(filled).every(row => !Number.isNaN(value(row)));
    const compare = numbers ? (a, b) => value(a) - value(b) : (a, b) => text(a).localeCompare(text(b));
    const sorted = rows.filter(filled).sort((a, b) => down ? compare(b, a) : compare(a, b));
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    table.tBodies[0].append(...sorted, ...rows.filter(row => !filled(row)));
  };
  heads.forEach((head, column) => {
    head.tabIndex = 0;
    head.addEventListener("click", () => sort(column));
    head.addEventListener("keydown", event => { if (event.key === "Enter") sort(column); });
  });
}

function drawMap(data) {
  const map = document.getElementById("map"), tip = document.getElementById("tip");
  const layout = document.getElementById("layout"), label = document.getElementById("label");
  const side = 640, full = 1040;
  let view = [0, 0, full, side];
  for (const name of Object.keys(data.layouts)) layout.add(new Option(name, name));
  data.labels.forEach((name, place) => label.add(new Option(name, place)));
  const marks = data.points.map(([kind], place) => {
    const mark = document.createElementNS(map.namespaceURI, kind >= 2 ? "path" : "circle");
    if (kind >= 2) mark.setAttribute("d", kind === 2 ? "M-4,-4L4,4M-4,4L4,-4" : "M-4,-4H4V4H-4Z");
    else mark.setAttribute("r", kind === 0 ? 3.2 : 4.5);
    mark.setAttribute("class", ["reference", "correct", "mistaken", "stranger"][kind]);
    mark.dataset.place = place;
    return mark;
  });
  for (const kind of [0, 1, 2, 3]) map.append(...marks.filter((_, place) => data.points[place][0] === kind));

  const lay = () => {
    const places = data.layouts[layout.value], scale = Math.sqrt(view[2] / full);
    marks.forEach((mark, i) => {
      const x = 20 + places[2 * i] * (full - 40), y = side - 20 - places[2 * i + 1] * (side - 40);
      mark.setAttribute("transform", `translate(${x},${y})scale(${scale})`);
    });
  };
  const choose = wanted => marks.forEach((mark, i) => {
    mark.classList.toggle("faint", wanted >= 0 && data.points[i][1] !== wanted);
    mark.classList.toggle("chosen", wanted >= 0 && data.points[i][1] === wanted);
  });
  const leave = () => { tip.style.display = "none"; choose(Number(label.value)); };
  const verdict = (kind, taken) => {
    if (kind < 2) return ["known", "right"][kind];
    if (kind === 3) return "no known image has this label" + (taken < 0 ? "" : "; nearest to " + data.labels[taken]);
    return taken < 0 ? "no known image may be compared with it" : "taken for " + data.labels[taken];
  };
  const show = (place, x, y) => {
    const [kind, own, taken, path] = data.points[place];
    choose(own);
    tip.replaceChildren();
    if (data.thumbs[place]) {
      const picture = new Image();
      picture.src = "data:image/jpeg;base64," + data.thumbs[place];
      tip.append(picture);
    }
    for (const text of [data.labels[own], verdict(kind, taken), path]) {
      const line = document.createElement("div");
      line.textContent = text;
      tip.append(line);
    }
    tip.style.display = "block";
    tip.style.left = Math.max(0, Math.min(x + 14, innerWidth - 280)) + "px";
    tip.style.top = Math.max(0, Math.min(y + 14, innerHeight - tip.offsetHeight - 8)) + "px";
  };
  const zoom = event => {
    event.preventDefault();
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
    const wide = Math.min(full, view[2] * (event.deltaY > 0 ? 1.25 : 0.8)), change = wide / view[2];
    const start = [point.x - (point.x - view[0]) * change, point.y - (point.y - view[1]) * change];
    view = wide === full ? [0, 0, full, side] : [...start, wide, (wide * side) / full];
    map.setAttribute("viewBox", view.join(" "));
    lay();
  };

  layout.addEventListener("change", lay);
  label.addEventListener("change", () => choose(Number(label.value)));
  map.addEventListener("pointermove", event => {
    const place = event.target.dataset.place;
    if (place === undefined) leave();
    else show(Number(place), event.clientX, event.clientY);
  });
  map.addEventListener("wheel", zoom, { passive: false });
  map.addEventListener("pointerleave", leave);
  lay();
  document.getElementById("drawn").textContent = marks.length + " points drawn";
}

function acceptFindings(reasons) {
  const boxes = [...document.querySelectorAll("input[type=checkbox]")], chosen = new Set();
  const button = document.getElementById("save"), count = document.getElementById("count");
  const show = () => {
    for (const box of boxes) box.checked = chosen.has(box.value);
    button.disabled = chosen.size === 0;
    count.textContent = chosen.size + " images chosen";
  };
  for (const box of boxes)
    box.addEventListener("change", () => {
      if (box.checked) chosen.add(box.value);
      else chosen.delete(box.value);
      show();
    });
  for (const all of document.querySelectorAll(".every"))
    all.addEventListener("click", () => {
      for (const box of all.closest("section").querySelectorAll("input")) chosen.add(box.value);
      show();
    });
  button.addEventListener("click", () => {
    const cell = text => '"' + text.replaceAll('"', '""') + '"';
    const lines = [["path", "reason"], ...[...chosen].map(number => reasons[number].map(cell))];
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/csv" }));
    link.download = "accepted.csv";
    link.click();
  });
  show();
}

for (const table of document.querySelectorAll(".sort")) sortable(table);
for (const [name, use] of [["points", drawMap], ["reasons", acceptFindings]]) {
  const values = document.getElementById(name);
  if (values) use(JSON.parse(values.textContent));
}
