"use strict";
const all = (selector) => document.querySelectorAll(selector);

// Boxes on or off, and hidden below a score.
const toggle = document.getElementById("boxes");
toggle?.addEventListener("change", () => {
  document.body.classList.toggle("no-boxes", !toggle.checked);
});
const score = document.getElementById("score");
score?.addEventListener("input", () => {
  let shown = 0, total = 0;
  for (const group of all("main [data-score]")) {
    const keep = Number(group.dataset.score) >= Number(score.value) - 1e-6;
    group.classList.toggle("off", !keep);
    if (group.closest(".crop")) continue;
    total += Number(group.dataset.count);
    shown += keep ? Number(group.dataset.count) : 0;
  }
  document.getElementById("score-text").textContent =
    `${Number(score.value).toFixed(2)}: ${shown} of ${total} shown`;
});

// Left and right of a comparison.
for (const slider of all("input.slide")) {
  const figure = slider.closest("figure");
  const [left, right] = figure.querySelectorAll("clipPath rect");
  const divider = figure.querySelector(".divider");
  const width = figure.querySelector("svg").viewBox.baseVal.width;
  slider.addEventListener("input", () => {
    const x = width * Number(slider.value) / 100;
    left.setAttribute("width", x);
    right.setAttribute("x", x);
    divider.setAttribute("x1", x);
    divider.setAttribute("x2", x);
  });
}

// A picture on the whole screen: wheel zooms, dragging moves, Escape closes.
const dialog = document.querySelector("dialog");
const open = (picture) => {
  dialog.querySelector("svg")?.remove();
  const copy = picture.cloneNode(true);
  copy.removeAttribute("tabindex");
  dialog.prepend(copy);
  dialog.querySelector("p").textContent = picture.getAttribute("aria-label");
  dialog.showModal();
  const full = { ...numbers(copy.viewBox.baseVal) };
  let view = { ...full };
  const points = new Map();
  const show = () => copy.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
  const toPicture = (x, y) => new DOMPoint(x, y).matrixTransform(copy.getScreenCTM().inverse());
  const zoom = (factor, x, y) => {
    const at = toPicture(x, y);
    const bounded = Math.max(full.width / 60, Math.min(full.width, view.width * factor));
    const ratio = bounded / view.width;
    view = {
      x: at.x - (at.x - view.x) * ratio, y: at.y - (at.y - view.y) * ratio,
      width: bounded, height: view.height * ratio,
    };
    if (bounded === full.width) view = { ...full };
    show();
  };
  copy.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(event.deltaY * 0.0015), event.clientX, event.clientY);
  }, { passive: false });
  copy.addEventListener("dblclick", (event) => zoom(0.5, event.clientX, event.clientY));
  copy.addEventListener("pointerdown", (event) => {
    copy.setPointerCapture(event.pointerId);
    points.set(event.pointerId, event);
  });
  copy.addEventListener("pointermove", (event) => {
    const last = points.get(event.pointerId);
    if (!last) return;
    if (points.size === 1) {
      const from = toPicture(last.clientX, last.clientY);
      const to = toPicture(event.clientX, event.clientY);
      view.x += from.x - to.x;
      view.y += from.y - to.y;
      show();
    } else {
      const other = [...points.values()].find((point) => point.pointerId !== event.pointerId);
      const apart = (a) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY) || 1;
      zoom(apart(last) / apart(event), other.clientX, other.clientY);
    }
    points.set(event.pointerId, event);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    copy.addEventListener(name, (event) => points.delete(event.pointerId));
  }
};
const numbers = ({ x, y, width, height }) => ({ x, y, width, height });
for (const picture of all("main svg.zoom")) {
  picture.setAttribute("tabindex", "0");
  picture.addEventListener("click", () => open(picture));
  picture.addEventListener("keydown", (event) => {
    if (event.key === "Enter") open(picture);
  });
}
dialog.querySelector("button").addEventListener("click", () => dialog.close());
