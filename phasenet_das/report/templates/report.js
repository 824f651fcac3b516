// Zoom, pan and read the sections, follow links into folded sections, and order the events.
(() => {
  "use strict";
  const LEFT = 58, RIGHT = 14, STATIC_WIDTH = 880;
  const numbers = text => text.split(" ").map(Number);
  const make = (name, attributes, text) => {
    const node = document.createElementNS("http" + "://www.w3.org/2000/svg", name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const KINDS = {"kept-P": "P, kept", "kept-S": "S, kept", "rejected-P": "P, rejected", "rejected-S": "S, rejected", group: "in a group without a location"};

  function ticks(first, last, length, spacing) {
    const low = Math.min(first, last), high = Math.max(first, last);
    const least = (high - low) * spacing / length, power = 10 ** Math.floor(Math.log10(least));
    const step = power * [1, 2, 5, 10].find(factor => factor * power >= least * 0.999);
    const found = [];
    for (let n = Math.ceil(low / step); n <= Math.floor(high / step); n++) {
      found.push([(n * step - first) / (last - first) * length, String(+(n * step).toPrecision(10))]);
    }
    return found;
  }

  class Section {
    constructor(svg) {
      this.svg = svg;
      this.channels = numbers(svg.dataset.channels);
      this.distance = svg.dataset.distance ? numbers(svg.dataset.distance) : null;
      this.panels = [...svg.querySelectorAll(".panel")].map(node => this.readPanel(node));
      this.height = svg.viewBox.baseVal.height;
      this.reset();
      this.addTools();
      this.listen();
      new ResizeObserver(() => this.draw()).observe(svg.parentElement);
    }

    readPanel(node) {
      const height = Number(node.dataset.height);
      const share = (x, y) => [x / STATIC_WIDTH, y / height];
      const paths = [...node.querySelectorAll("path")].map(path => ({
        path, kind: path.dataset.kind,
        places: [...path.getAttribute("d").matchAll(/M(\S+) (-?[\d.]+)([^M]*)/g)].map(m => [...share(+m[1], +m[2]), m[3]]),
      }));
      const lines = [...node.querySelectorAll("polyline")].map(line => ({
        line, places: line.getAttribute("points").split(" ").map(pair => share(...pair.split(",").map(Number))),
      }));
      const tags = [...node.querySelectorAll(".tag")].map(tag => ({tag, place: share(+tag.getAttribute("x"), +tag.getAttribute("y"))}));
      return {node, height, paths, lines, tags, limits: numbers(node.dataset.limits), zooms: node.classList.contains("record"),
              frame: node.querySelector(".frame"), image: node.querySelector("image"), edge: node.querySelector(".edge"), side: node.querySelector(".side")};
    }

    reset() { this.view = {x: [0, 1], y: [0, 1]}; }

    zoomed() { return this.view.x[1] - this.view.x[0] < 0.999 || this.view.y[1] - this.view.y[0] < 0.999; }

    draw() {
      const box = this.svg.parentElement.clientWidth;
      if (!box) return;
      this.width = Math.max(240, Math.min(box, 1180) - LEFT - RIGHT);
      this.svg.setAttribute("viewBox", `0 0 ${LEFT + this.width + RIGHT} ${this.height}`);
      for (const panel of this.panels) this.drawPanel(panel);
      const [first, last] = this.along(this.channels);
      this.setTicks(this.svg.querySelector(".ticks.bottom"), ticks(first, last, this.width, 80), at => `translate(${at} 0)`, {y2: 4}, {y: 17});
      if (this.distance) {
        const [near, far] = this.along(this.distance);
        this.setTicks(this.svg.querySelector(".ticks.top"), ticks(near / 1000, far / 1000, this.width, 80), at => `translate(${at} 0)`, {y2: -4}, {y: -8});
      }
      for (const name of this.svg.querySelectorAll(".name.top, .name.bottom")) name.setAttribute("x", LEFT + this.width / 2);
      this.svg.style.touchAction = this.zoomed() ? "none" : "auto";
      this.tools.querySelector("[data-do=reset]").disabled = !this.zoomed();
    }

    along(limits) { return this.view.x.map(share => limits[0] + share * (limits[1] - limits[0])); }

    drawPanel(panel) {
      const {x, y} = this.view, range = panel.zooms ? y : [0, 1];
      const px = share => (share - x[0]) / (x[1] - x[0]) * this.width;
      const py = share => (share - range[0]) / (range[1] - range[0]) * panel.height;
      for (const part of [panel.frame, panel.edge]) part.setAttribute("width", this.width);
      if (panel.image) {
        panel.image.setAttribute("x", px(0)); panel.image.setAttribute("width", px(1) - px(0));
        panel.image.setAttribute("y", py(0)); panel.image.setAttribute("height", py(1) - py(0));
      }
      const place = ([a, b]) => `${px(a).toFixed(1)} ${py(b).toFixed(1)}`;
      for (const {path, places} of panel.paths) path.setAttribute("d", places.map(p => `M${place(p)}${p[2]}`).join(""));
      for (const {line, places} of panel.lines) line.setAttribute("points", places.map(place).join(" "));
      for (const {tag, place: [a, b]} of panel.tags) { tag.setAttribute("x", px(a)); tag.setAttribute("y", py(b)); }
      const [top, bottom] = panel.limits, span = bottom - top;
      const marks = ticks(top + range[0] * span, top + range[1] * span, panel.height, panel.zooms ? 50 : 24);
      this.setTicks(panel.side, marks, at => `translate(0 ${at})`, {x2: -4}, {x: -7, dy: ".35em"});
    }

    setTicks(group, found, move, line, text) {
      group.replaceChildren(...found.map(([at, words]) => {
        const tick = make("g", {transform: move(at)});
        tick.append(make("line", line), make("text", text, words));
        return tick;
      }));
    }

    addTools() {
      this.tools = document.createElement("div");
      this.tools.className = "tools";
      for (const [name, words, label] of [["in", "+", "Zoom in"], ["out", "\u2212", "Zoom out"], ["reset", "Whole", "Show the whole section"]]) {
        const button = document.createElement("button");
        Object.assign(button, {type: "button", textContent: words, title: label});
        button.setAttribute("aria-label", label);
        button.dataset.do = name;
        this.tools.append(button);
      }
      this.readout = document.createElement("output");
      const mouse = matchMedia("(pointer: fine)").matches;
      this.hint = !mouse ? "Zoom with + and \u2212, then drag to move." : "Drag a box to zoom. Shift and drag to move. Double-click for the whole.";
      this.readout.textContent = this.hint;
      this.tools.append(this.readout);
      this.svg.parentElement.before(this.tools);
    }

    listen() {
      const svg = this.svg;
      svg.setAttribute("tabindex", "0");
      this.tools.addEventListener("click", event => this.act(event.target.dataset.do));
      svg.addEventListener("keydown", event => {
        const action = {"+": "in", "=": "in", "-": "out", "0": "reset", ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down"}[event.key];
        if (action && (this.zoomed() || !event.key.startsWith("Arrow"))) { event.preventDefault(); this.act(action); }
      });
      svg.addEventListener("wheel", event => {
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        const [a, b] = this.share(event);
        this.zoom(1.0015 ** event.deltaY, a, b);
      }, {passive: false});
      svg.addEventListener("dblclick", () => this.act("reset"));
      svg.addEventListener("pointermove", event => this.read(event));
      svg.addEventListener("pointerleave", () => { this.readout.textContent = this.hint; });
      svg.addEventListener("pointerdown", event => { if (event.button === 0 && (event.pointerType === "mouse" || this.zoomed())) this.drag(event); });
    }

    act(action) {
      const step = 0.25, {x, y} = this.view, dx = step * (x[1] - x[0]), dy = step * (y[1] - y[0]);
      if (action === "in") this.zoom(0.6, 0.5, 0.5);
      else if (action === "out") this.zoom(1 / 0.6, 0.5, 0.5);
      else if (action === "reset") { this.reset(); this.draw(); }
      else if (action) this.move({left: -dx, right: dx}[action] || 0, {up: -dy, down: dy}[action] || 0);
    }

    share(event) {  // of the record's panel, from 0 to 1, for a place on the screen
      const box = this.panels[0].edge.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    }

    zoom(factor, a, b) {
      const around = ([low, high], at) => { const c = low + at * (high - low), span = Math.max(0.004, Math.min(1, factor * (high - low))); return [c - at * span, c + (1 - at) * span]; };
      this.view = {x: around(this.view.x, a), y: around(this.view.y, b)};
      this.move(0, 0);
    }

    move(dx, dy) {
      const inside = ([low, high], by) => { const d = Math.min(Math.max(by, -low), 1 - high); return high - low >= 1 ? [0, 1] : [low + d, high + d]; };
      this.view = {x: inside(this.view.x, dx), y: inside(this.view.y, dy)};
      this.draw();
    }

    drag(event) {
      const start = this.share(event), before = this.view, panel = this.panels[0];
      if (start.some(s => s < 0 || s > 1)) return;
      event.preventDefault();
      const pans = event.shiftKey || event.pointerType !== "mouse", box = make("rect", {class: "box"});
      if (!pans) panel.frame.append(box);
      const moved = e => {
        const now = this.share(e).map(s => Math.min(1, Math.max(0, s)));
        if (pans) {
          this.view = before;
          this.move((start[0] - now[0]) * (before.x[1] - before.x[0]), (start[1] - now[1]) * (before.y[1] - before.y[0]));
          return;
        }
        box.setAttribute("x", Math.min(start[0], now[0]) * this.width); box.setAttribute("width", Math.abs(now[0] - start[0]) * this.width);
        box.setAttribute("y", Math.min(start[1], now[1]) * panel.height); box.setAttribute("height", Math.abs(now[1] - start[1]) * panel.height);
        this.corner = now;
      };
      const ended = () => {
        removeEventListener("pointermove", moved); removeEventListener("pointerup", ended);
        box.remove();
        const now = this.corner; this.corner = null;
        if (pans || !now || Math.abs(now[0] - start[0]) < 0.02 || Math.abs(now[1] - start[1]) < 0.02) return;
        const cut = ([low, high], i) => [Math.min(start[i], now[i]), Math.max(start[i], now[i])].map(s => low + s * (high - low));
        this.view = {x: cut(before.x, 0), y: cut(before.y, 1)};
        this.zoom(1, 0.5, 0.5);
      };
      addEventListener("pointermove", moved); addEventListener("pointerup", ended);
    }

    read(event) {
      const [a, b] = this.share(event), panel = this.panels[0];
      if (a < 0 || a > 1 || b < 0 || b > 1) { this.readout.textContent = this.hint; return; }
      const at = [this.view.x[0] + a * (this.view.x[1] - this.view.x[0]), this.view.y[0] + b * (this.view.y[1] - this.view.y[0])];
      const sx = this.width / (this.view.x[1] - this.view.x[0]), sy = panel.height / (this.view.y[1] - this.view.y[0]);
      let best = 9, found = at, name = "";
      for (const {kind, places} of panel.paths) {
        if (!KINDS[kind]) continue;
        for (const [x, y] of places) {
          const away = Math.hypot((x - at[0]) * sx, (y - at[1]) * sy);
          if (away < best) { best = away; found = [x, y]; name = KINDS[kind]; }
        }
      }
      const of = (limits, share) => limits[0] + share * (limits[1] - limits[0]);
      const far = this.distance ? ` (${(of(this.distance, found[0]) / 1000).toFixed(2)} km)` : "";
      this.readout.textContent = `Channel ${Math.round(of(this.channels, found[0]))}${far}, ${of(panel.limits, found[1]).toFixed(3)} s${name ? `. Pick: ${name}.` : ""}`;
    }
  }

  for (const svg of document.querySelectorAll("svg.section")) {
    const fold = svg.closest("details");
    const start = () => { if (!svg.dataset.live) { svg.dataset.live = "1"; new Section(svg); } };
    if (!fold || fold.open) start();
    else fold.addEventListener("toggle", start, {once: true});
  }

  function unfold() {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    target.scrollIntoView();
  }
  addEventListener("hashchange", unfold);
  unfold();

  const order = document.getElementById("order");
  if (order) {
    order.closest("p").hidden = false;
    order.addEventListener("change", () => {
      for (const list of document.querySelectorAll("[data-ordered]")) {
        const key = item => Number(item.dataset[order.value]);
        const items = [...list.children].sort((a, b) => key(a) - key(b));
        list.append(...items);
        items.filter(item => item.localName === "details").forEach((item, i) => { item.open = i < 6; });
      }
    });
  }
})();
