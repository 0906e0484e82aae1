// C-alpha traces to turn, on 2-D canvases: no library and no request. What is drawn stands in each element's data-trace.
(() => {
  const STEPS = 4, FOV = 4;
  const draw = (box) => {
    const { points, colourings } = JSON.parse(box.dataset.trace);
    const canvas = box.querySelector("canvas"), select = box.querySelector("select"), said = box.querySelector("output");
    const context = canvas.getContext("2d"), size = canvas.width, there = points.filter(Boolean);
    const middle = [0, 1, 2].map((k) => there.reduce((sum, p) => sum + p[k], 0) / there.length);
    const placed = points.map((p) => p && p.map((value, k) => value - middle[k]));
    const radius = Math.max(5, ...placed.filter(Boolean).map((p) => Math.hypot(...p)));
    const turn = (m, a, i, j) => m.map((row, r) => r === i ? row.map((v, c) => Math.cos(a) * v - Math.sin(a) * m[j][c])
      : r === j ? row.map((v, c) => Math.sin(a) * m[i][c] + Math.cos(a) * v) : row);
    const identity = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
    let rotation = identity, zoom = 1, drag = null;
    // Catmull-Rom through the C-alphas: [residue, point] in STEPS pieces from each residue to the next that is placed.
    const curve = [];
    placed.forEach((b, i) => {
      const c = placed[i + 1];
      if (!b || !c) return;
      const a = placed[i - 1] || b, d = placed[i + 2] || c, run = [];
      for (let s = 0; s <= STEPS; s++) {
        const t = s / STEPS;
        run.push(b.map((_, k) => 0.5 * (2 * b[k] + (c[k] - a[k]) * t + (2 * a[k] - 5 * b[k] + 4 * c[k] - d[k]) * t * t
          + (3 * b[k] - a[k] - 3 * c[k] + d[k]) * t ** 3)));
      }
      for (let s = 0; s < STEPS; s++) curve.push([s < STEPS / 2 ? i : i + 1, run[s], run[s + 1]]);
    });
    const project = (p) => {
      const [x, y, z] = rotation.map((row) => row.reduce((sum, v, k) => sum + v * p[k], 0) / radius);
      const near = FOV / (FOV - z) * zoom * size * 0.42;
      return [size / 2 + x * near, size / 2 - y * near, z];
    };
    const paint = () => {
      const { colours } = colourings[select.value];
      context.fillStyle = "#fff";
      context.fillRect(0, 0, size, size);
      const pieces = curve.map(([i, p, q]) => [i, project(p), project(q)]).sort((a, b) => a[1][2] - b[1][2]);
      const width = Math.min(14, Math.max(4, 60 / radius * 4)) * zoom * size / 840;
      for (const [i, p, q] of pieces) {
        const line = (strokeStyle, wide, lineCap) => {
          Object.assign(context, { strokeStyle, lineCap, lineWidth: wide * (1 + 0.3 * p[2]) });
          context.beginPath();
          context.moveTo(p[0], p[1]);
          context.lineTo(q[0], q[1]);
          context.stroke();
        };
        line("#333", width * 1.35, "butt");
        line(colours[i], width, "round");
        if (p[2] < 0) line(`rgba(255,255,255,${-0.6 * p[2]})`, width * 1.35, "butt"); // what is far is pale
      }
      const ends = [["N", placed.findIndex(Boolean)], ["C", placed.findLastIndex(Boolean)]];
      Object.assign(context, { fillStyle: "#000", font: `bold ${size / 34}px system-ui, sans-serif` });
      for (const [name, i] of ends) context.fillText(name, ...project(placed[i]).slice(0, 2).map((v) => v + size / 70));
    };
    const name = (event) => { // of the residue under the pointer
      const scale = size / canvas.getBoundingClientRect().width, { key, texts } = colourings[select.value];
      const off = placed.map((p) => p ? project(p) : [1e9, 1e9]).map(([x, y]) =>
        Math.hypot(x - event.offsetX * scale, y - event.offsetY * scale));
      const nearest = off.indexOf(Math.min(...off));
      said.textContent = off[nearest] < size / 40 ? texts[nearest] : key;
    };
    const move = (dx, dy) => { rotation = turn(turn(rotation, -dx, 0, 2), dy, 1, 2); paint(); };
    const keys = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
    canvas.onpointerdown = (event) => { drag = [event.clientX, event.clientY]; canvas.setPointerCapture(event.pointerId); };
    canvas.onpointerup = () => { drag = null; };
    canvas.onpointermove = (event) => {
      if (!drag) return name(event);
      move((event.clientX - drag[0]) / 120, (event.clientY - drag[1]) / 120);
      drag = [event.clientX, event.clientY];
    };
    canvas.onkeydown = (event) => {
      if ("+-".includes(event.key)) { zoom *= event.key === "+" ? 1.15 : 1 / 1.15; paint(); }
      if (!keys[event.key]) return;
      event.preventDefault();
      move(...keys[event.key]);
    };
    canvas.ondblclick = () => { rotation = identity; zoom = 1; paint(); };
    select.onchange = () => { said.textContent = colourings[select.value].key; paint(); };
    select.onchange();
  };
  for (const box of document.querySelectorAll(".trace:not([data-ready])")) {
    box.dataset.ready = "yes";
    draw(box);
  }
})();
