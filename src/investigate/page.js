"use strict";
(() => {
  const svg = document.getElementById("graph");
  if (!svg) return;
  const scene = document.getElementById("scene");
  const nodes = [...svg.querySelectorAll(".node")];
  const edges = [...svg.querySelectorAll(".edge")];
  const place = nodes.map((node) => {
    const [x, y] = node.getAttribute("transform").match(/-?\d+(\.\d+)?/g).map(Number);
    return { x, y };
  });
  const folded = new Set();
  let view = { x: 0, y: 0, scale: 1 };
  let held = null;

  // A point of the screen in the picture's own measure, and in that of the scene in it.
  const inPicture = (event) => {
    const point = svg.createSVGPoint();
    point.x = event.clientX;
    point.y = event.clientY;
    return point.matrixTransform(svg.getScreenCTM().inverse());
  };
  const show = () => {
    scene.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.scale})`);
  };
  const draw = (at) => {
    nodes[at].setAttribute("transform", `translate(${place[at].x} ${place[at].y})`);
    for (const edge of edges) {
      for (const [end, x, y] of [["from", "x1", "y1"], ["to", "x2", "y2"]]) {
        if (Number(edge.dataset[end]) === at) {
          edge.setAttribute(x, place[at].x);
          edge.setAttribute(y, place[at].y);
        }
      }
    }
  };
  // Shown is what has its box ticked and can be reached from the target without a folded node.
  const filter = () => {
    const ticked = new Set(
      [...document.querySelectorAll("#kinds input:checked")].map((box) => box.dataset.kind));
    const shown = new Set([0]);
    const queue = [0];
    while (queue.length > 0) {
      const at = queue.shift();
      if (folded.has(at)) continue;
      for (const edge of edges) {
        const [from, to] = [Number(edge.dataset.from), Number(edge.dataset.to)];
        const next = from === at ? to : to === at ? from : at;
        if (!shown.has(next)) {
          shown.add(next);
          queue.push(next);
        }
      }
    }
    // What hangs on nothing is shown where its box is ticked.
    nodes.forEach((node, at) => {
      const alone = !edges.some((e) => Number(e.dataset.from) === at || Number(e.dataset.to) === at);
      const gone = at !== 0 && (!ticked.has(node.dataset.kind) || !(shown.has(at) || alone));
      node.classList.toggle("gone", gone);
    });
    for (const edge of edges) {
      const gone = [edge.dataset.from, edge.dataset.to].some((at) =>
        nodes[Number(at)].classList.contains("gone"));
      edge.classList.toggle("gone", gone);
    }
  };

  svg.addEventListener("pointerdown", (event) => {
    const node = event.target.closest(".node");
    held = { at: node ? Number(node.dataset.node) : null, from: inPicture(event) };
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener("pointermove", (event) => {
    if (!held) return;
    const to = inPicture(event);
    const [dx, dy] = [to.x - held.from.x, to.y - held.from.y];
    held.from = to;
    if (held.at === null) {
      view = { ...view, x: view.x + dx, y: view.y + dy };
      show();
    } else {
      place[held.at].x += dx / view.scale;
      place[held.at].y += dy / view.scale;
      draw(held.at);
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    svg.addEventListener(end, () => { held = null; });
  }
  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    const point = inPicture(event);
    const scale = Math.min(8, Math.max(0.2, view.scale * (event.deltaY < 0 ? 1.15 : 1 / 1.15)));
    const grown = scale / view.scale;
    view = { scale, x: point.x - (point.x - view.x) * grown, y: point.y - (point.y - view.y) * grown };
    show();
  }, { passive: false });
  svg.addEventListener("dblclick", (event) => {
    const node = event.target.closest(".node");
    if (!node) return;
    const at = Number(node.dataset.node);
    if (!folded.delete(at)) folded.add(at);
    filter();
  });
  for (const box of document.querySelectorAll("#kinds input")) {
    box.addEventListener("change", filter);
  }
  document.getElementById("reset").addEventListener("click", () => {
    folded.clear();
    view = { x: 0, y: 0, scale: 1 };
    for (const box of document.querySelectorAll("#kinds input")) box.checked = true;
    show();
    filter();
  });
})();
