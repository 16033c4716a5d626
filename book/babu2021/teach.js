// A trained CL+LSTM that learns in the page. It is told what it works on in a JSON element beside it (`teach.py` writes
// it): the weights, what the training drawings are like, and drawings of the test set. Nothing is fetched.
//
//   numbers     from base64 to arrays
//   network     one step of CL+LSTM, as src/metamemory/models/recurrent/cl_lstm.py computes it
//   neighbour   the nearest drawing in pixels, for comparison
//   drawings    from strokes to the 14 x 14 numbers that the network was trained on
//   lesson      what has been shown and named so far
//   page        what the reader sees and does
"use strict";

// ---- Numbers -------------------------------------------------------------------------------------------------------

function decode({ type, data }) {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  if (type === "float32") return new Float32Array(bytes.buffer);
  return Float32Array.from(new Uint16Array(bytes.buffer), half);
}

// A float16 has a sign, 5 bits of exponent and 10 of fraction; there is no infinity among weights.
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  return sign * (exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24);
}

function concatenate(...arrays) {
  const all = new Float32Array(arrays.reduce((length, each) => length + each.length, 0));
  arrays.reduce((place, each) => (all.set(each, place), place + each.length), 0);
  return all;
}

const sigmoid = (a) => 1 / (1 + Math.exp(-a));
const largest = (values) => values.indexOf(Math.max(...values));

function softmax(logits) {
  const top = Math.max(...logits), powers = Array.from(logits, (each) => Math.exp(each - top));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((each) => each / sum);
}

// ---- Network -------------------------------------------------------------------------------------------------------
// Maps are arrays [channel][y][x] in one piece, as in PyTorch.

// Adds to `out` the 3 x 3 convolution of `input` with weight [filter][channel][3][3]; beyond the edge everything is 0.
function convolve(input, weight, size, out) {
  const pixels = size * size, channels = input.length / pixels, filters = out.length / pixels;
  for (let filter = 0, k = 0; filter < filters; filter++)
    for (let channel = 0; channel < channels; channel++)
      for (let dy = -1; dy <= 1; dy++)
        for (let dx = -1; dx <= 1; dx++, k++) {
          const w = weight[k];
          const left = Math.max(0, -dx), right = Math.min(size, size - dx);
          for (let y = Math.max(0, -dy); y < Math.min(size, size - dy); y++) {
            const to = filter * pixels + y * size, from = channel * pixels + (y + dy) * size + dx;
            for (let x = left; x < right; x++) out[to + x] += w * input[from + x];
          }
        }
}

function maxPool(maps, size) {
  const half = Math.floor(size / 2), channels = maps.length / (size * size);
  const out = new Float32Array(channels * half * half);
  for (let channel = 0, k = 0; channel < channels; channel++)
    for (let y = 0; y < half; y++)
      for (let x = 0; x < half; x++, k++) {
        const at = channel * size * size + 2 * y * size + 2 * x;
        out[k] = Math.max(maps[at], maps[at + 1], maps[at + size], maps[at + size + 1]);
      }
  return out;
}

// i, f, o, g = N(W_x * x) + W_h * h + b        c' = s(f) c + s(i) tanh(g)        h' = s(o) tanh(c')
class ConvLSTM {
  constructor(tensor, size) {
    this.size = size;
    this.wX = tensor("w_x");
    this.wH = tensor("w_h");
    this.bias = tensor("bias");
    const gain = tensor("gain"), variance = tensor("running_var");
    this.mean = tensor("running_mean");
    this.scale = gain.map((each, channel) => each / Math.sqrt(variance[channel] + 1e-5));
  }

  zero() {
    const length = (this.bias.length / 4) * this.size ** 2;
    return { h: new Float32Array(length), c: new Float32Array(length) };
  }

  step(x, { h, c }) {
    const pixels = this.size ** 2, length = h.length;
    const a = new Float64Array(4 * length); // the four gates one after the other, each [filter][y][x]
    convolve(x, this.wX, this.size, a);
    for (let k = 0; k < a.length; k++) {
      const channel = Math.floor(k / pixels);
      a[k] = (a[k] - this.mean[channel]) * this.scale[channel] + this.bias[channel];
    }
    convolve(h, this.wH, this.size, a);
    const next = this.zero();
    for (let k = 0; k < length; k++) {
      const i = sigmoid(a[k]), f = sigmoid(a[length + k]), o = sigmoid(a[2 * length + k]);
      next.c[k] = f * c[k] + i * Math.tanh(a[3 * length + k]);
      next.h[k] = o * Math.tanh(next.c[k]);
    }
    return next;
  }
}

// PyTorch's LSTM, whose gates come in another order: i, f, g, o.
class LSTM {
  constructor(tensor) {
    this.wX = tensor("weight_ih_l0");
    this.wH = tensor("weight_hh_l0");
    this.bX = tensor("bias_ih_l0");
    this.bH = tensor("bias_hh_l0");
  }

  zero() {
    const units = this.bX.length / 4;
    return { h: new Float32Array(units), c: new Float32Array(units) };
  }

  step(x, { h, c }) {
    const a = linear(this.wX, this.bX, x), fromH = linear(this.wH, this.bH, h), units = h.length, next = this.zero();
    for (let k = 0; k < a.length; k++) a[k] += fromH[k];
    for (let k = 0; k < units; k++) {
      const i = sigmoid(a[k]), f = sigmoid(a[units + k]), g = Math.tanh(a[2 * units + k]), o = sigmoid(a[3 * units + k]);
      next.c[k] = f * c[k] + i * g;
      next.h[k] = o * Math.tanh(next.c[k]);
    }
    return next;
  }
}

function linear(weight, bias, x) {
  const out = Float64Array.from(bias);
  for (let row = 0, k = 0; row < out.length; row++) for (let column = 0; column < x.length; column++, k++) out[row] += weight[k] * x[column];
  return out;
}

class Network {
  constructor({ tensors, sizes, pool_after, inject, n_way }) {
    const under = (prefix) => (name) => decode(tensors[`${prefix}.${name}`]);
    this.layers = sizes.map((size, index) => new ConvLSTM(under(`cl.${index}`), size));
    this.lstm = new LSTM(under("lstm"));
    this.classifier = under("classifier");
    this.weight = this.classifier("weight");
    this.bias = this.classifier("bias");
    this.nWay = n_way;
    this.pooled = (layer) => pool_after.includes(layer);
    this.shown = (place) => inject.includes(place);
  }

  zero() {
    return { cl: this.layers.map((layer) => layer.zero()), lstm: this.lstm.zero() };
  }

  // The answer to a drawing, before its own name is known, and the state after it. `label` is that of an earlier drawing,
  // -1 if there is none; nothing that is given is changed.
  step(drawing, label, state) {
    const oneHot = Float32Array.from({ length: this.nWay }, (_, name) => (name === label ? 1 : 0));
    const pool = (maps, layer, size) => (this.pooled(layer) ? maxPool(maps, size) : maps);
    const cl = [];
    let x = drawing, skip;
    this.layers.forEach((layer, index) => {
      if (index === 3) x = x.map((value, k) => value + skip[k]);
      if (this.shown(`cl${index + 1}`)) {
        const planes = Float32Array.from({ length: this.nWay * layer.size ** 2 }, (_, k) => oneHot[Math.floor(k / layer.size ** 2)]);
        x = concatenate(x, planes);
      }
      cl.push(layer.step(x, state.cl[index]));
      x = pool(cl[index].h, index + 1, layer.size);
      if (index === 1) skip = pool(x, 3, this.layers[2].size);
    });
    const lstm = this.lstm.step(this.shown("lstm") ? concatenate(x, oneHot) : x, state.lstm);
    return { logits: linear(this.weight, this.bias, lstm.h), state: { cl, lstm } };
  }
}

// ---- Neighbour -----------------------------------------------------------------------------------------------------

// For each name the nearest of the drawings that are known by it, and its distance in pixels; null where there is none.
function nearest(drawing, known, nWay) {
  const found = Array(nWay).fill(null);
  for (const { x, name } of known) {
    const distance = Math.sqrt(x.reduce((sum, value, k) => sum + (value - drawing[k]) ** 2, 0));
    if (!found[name] || distance < found[name].distance) found[name] = { x, distance };
  }
  return found;
}

function nearestName(found) {
  const distances = found.map((each) => (each ? each.distance : Infinity));
  return distances.some(Number.isFinite) ? distances.indexOf(Math.min(...distances)) : -1;
}

// ---- Drawings ------------------------------------------------------------------------------------------------------
// The training drawings are 105 x 105 pixels of ink (1) or paper (0). A stroke is a list of points [x, y] on that scale.

const SIDE = 105;

// Strokes moved to the middle of the training drawings, and made larger or smaller if none of these are of their size.
function fit(strokes, { middle, least, most }) {
  const points = strokes.flat(), extent = [0, 1].map((axis) => {
    const values = points.map((point) => point[axis]);
    return [Math.min(...values), Math.max(...values)];
  });
  const longest = Math.max(...extent.map(([low, high]) => high - low));
  const wanted = Math.min(Math.max(longest, least), most);
  const scale = longest > 0 ? Math.min(wanted / longest, 4) : 1; // a dot stays a dot
  return strokes.map((stroke) => stroke.map((point) =>
    point.map((value, axis) => (value - (extent[axis][0] + extent[axis][1]) / 2) * scale + middle[axis])));
}

// A pixel is ink if its middle is within half the pen's width of a stroke.
function rasterise(strokes, width) {
  const ink = new Uint8Array(SIDE * SIDE), reach = width / 2;
  for (const stroke of strokes)
    stroke.forEach(([x1, y1], index) => {
      const [x0, y0] = stroke[Math.max(index - 1, 0)], dx = x1 - x0, dy = y1 - y0, square = dx * dx + dy * dy;
      const low = (a, b) => Math.max(0, Math.floor(Math.min(a, b) - reach)), high = (a, b) => Math.min(SIDE - 1, Math.ceil(Math.max(a, b) + reach));
      for (let y = low(y0, y1); y <= high(y0, y1); y++)
        for (let x = low(x0, x1); x <= high(x0, x1); x++) {
          const px = x + 0.5 - x0, py = y + 0.5 - y0;
          const along = square ? Math.min(Math.max((px * dx + py * dy) / square, 0), 1) : 0;
          if (Math.hypot(px - along * dx, py - along * dy) <= reach) ink[y * SIDE + x] = 1;
        }
    });
  return ink;
}

// The mean of the area under each pixel of a smaller picture, rounded to one of 256 shades as the data set is; 0 to 1.
function reduce(ink, size) {
  const overlap = (out, pixel) => Math.max(0, Math.min((pixel + 1) * size, (out + 1) * SIDE) - Math.max(pixel * size, out * SIDE));
  const rows = new Float64Array(size * SIDE), means = new Float32Array(size * size);
  const first = (out) => Math.floor((out * SIDE) / size), last = (out) => Math.min(SIDE - 1, Math.floor(((out + 1) * SIDE) / size));
  for (let out = 0; out < size; out++)
    for (let y = first(out); y <= last(out); y++)
      for (let x = 0; x < SIDE; x++) rows[out * SIDE + x] += overlap(out, y) * ink[y * SIDE + x];
  for (let y = 0; y < size; y++)
    for (let out = 0; out < size; out++) {
      let sum = 0;
      for (let x = first(out); x <= last(out); x++) sum += overlap(out, x) * rows[y * SIDE + x];
      means[y * size + out] = Math.round((255 * sum) / SIDE ** 2) / 255;
    }
  return means;
}

// A drawing of the test set: lengths of runs of paper and ink in turn, along the rows.
function unpack(data) {
  const ink = new Uint8Array(SIDE * SIDE);
  let place = 0, value = 0;
  for (const character of atob(data)) {
    const length = character.charCodeAt(0);
    ink.fill(value, place, place + length);
    place += length;
    value = 1 - value;
  }
  return ink;
}

// ---- Lesson --------------------------------------------------------------------------------------------------------

// The stream so far. A name comes `delay` drawings after its drawing; 1 is with the next one.
class Lesson {
  constructor(network, delay) {
    Object.assign(this, { network, delay, shown: [], state: network.zero() });
  }

  get known() {
    return this.shown.slice(0, Math.max(this.shown.length + 1 - this.delay, 0));
  }

  // What the two answer to a drawing, and the state that it would leave.
  ask(x) {
    const due = this.shown[this.shown.length - this.delay];
    const { logits, state } = this.network.step(x, due ? due.name : -1, this.state);
    const neighbours = nearest(x, this.known, this.network.nWay);
    return { logits, chances: softmax(logits), state, neighbours };
  }

  // Show a drawing and name it.
  teach(x, name) {
    const answer = this.ask(x);
    const step = {
      x, name,
      seen: this.known.some((each) => each.name === name), // else nobody could have known
      network: largest(answer.chances) === name,
      neighbour: nearestName(answer.neighbours) === name,
    };
    this.shown.push(step);
    this.state = answer.state;
    return step;
  }
}

// ---- Page ----------------------------------------------------------------------------------------------------------

const NAMES = ["ba", "do", "ki", "mu", "ze"];
const POSITIVE = [217, 95, 2], NEGATIVE = [38, 110, 190], INK = [0, 0, 0]; // pictures are transparent where a value is 0

const create = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

const percent = (share) => `${Math.round(100 * share)} %`;

// Paint values from -1 to 1 into a canvas of so many columns, one pixel each.
function paint(canvas, values, columns) {
  canvas.width = columns;
  canvas.height = values.length / columns;
  const image = new ImageData(canvas.width, canvas.height);
  const positive = canvas.hasAttribute("data-ink") ? INK : POSITIVE;
  values.forEach((value, k) => image.data.set([...(value < 0 ? NEGATIVE : positive), 255 * Math.min(Math.abs(value), 1)], 4 * k));
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// Maps [filter][y][x] side by side as one picture, a pixel apart: its values and its columns.
function mosaic(maps, size) {
  const count = maps.length / size ** 2, across = Math.ceil(Math.sqrt(count)), columns = across * (size + 1) - 1;
  const picture = new Float32Array(columns * (Math.ceil(count / across) * (size + 1) - 1));
  maps.forEach((value, k) => {
    const map = Math.floor(k / size ** 2), y = Math.floor((k % size ** 2) / size), x = k % size;
    picture[(Math.floor(map / across) * (size + 1) + y) * columns + (map % across) * (size + 1) + x] = value;
  });
  return [picture, columns];
}

class Page {
  constructor(root, { networks, likeness, sets, size }) {
    Object.assign(this, { root, likeness, sets, size, names: [...NAMES] });
    this.networks = networks.map((each) => ({ ...each, network: new Network(each) }));
    this.find = (name) => root.querySelector(`[data-${name}]`);
    this.paper = this.find("paper");
    this.pen = { x: SIDE / 2, y: SIDE / 2, down: false, byKey: false };
    this.makeRows();
    this.makeSets();
    this.listen();
    this.restart();
    root.setAttribute("data-ready", "");
  }

  // -- what there is on the page

  makeRows() {
    this.rows = this.names.map((_, name) => {
      const button = create("button", { type: "button", class: "teach-name" });
      const bar = create("div", { class: "teach-bar" }, create("div")), chance = create("span");
      const nearest = create("canvas", { "data-ink": "", role: "img", class: "teach-small" }), distance = create("span");
      this.find("rows").append(create("tr", {}, create("th", { scope: "row" }, button), create("td", {}, bar, chance), create("td", {}, nearest, distance)));
      const field = create("input", { type: "text", maxlength: 8, value: this.names[name], "aria-label": `Name of character ${name + 1}` });
      this.find("names").append(field);
      field.addEventListener("input", () => {
        this.names[name] = field.value.trim() || NAMES[name];
        this.show();
      });
      button.addEventListener("click", () => this.teach(name));
      return { button, bar: bar.firstChild, chance, nearest, distance };
    });
  }

  makeSets() {
    this.sets.forEach(({ title }, index) => this.find("set").append(create("option", { value: index }, title)));
    this.find("set").addEventListener("change", () => this.showSet());
    this.showSet();
  }

  showSet() {
    const { characters } = this.sets[this.find("set").value];
    this.stop();
    this.find("presets").replaceChildren(...characters.map(({ title, images }) =>
      create("div", { class: "teach-row", role: "group", "aria-label": title }, ...images.map((data, column) => {
        const ink = unpack(data), canvas = create("canvas", { "data-ink": "", "aria-hidden": "true" });
        paint(canvas, ink, SIDE);
        const button = create("button", { type: "button", "aria-label": `${title}, drawing ${column + 1}`, title: `${title}, drawing ${column + 1}` }, canvas);
        button.addEventListener("click", () => this.put(ink));
        return button;
      }))));
  }

  // -- what the reader does

  listen() {
    const { paper } = this;
    const at = (event) => {
      const box = paper.getBoundingClientRect();
      return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
    };
    paper.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || this.pointer !== undefined) return;
      this.pointer = event.pointerId;
      paper.setPointerCapture(event.pointerId);
      this.pen.byKey = false;
      this.begin(at(event));
    });
    paper.addEventListener("pointermove", (event) => {
      if (event.pointerId === this.pointer) this.draw(at(event));
    });
    for (const end of ["pointerup", "pointercancel"])
      paper.addEventListener(end, (event) => {
        if (event.pointerId !== this.pointer) return;
        this.pointer = undefined;
        if (end === "pointerup") this.draw(at(event));
        this.show(true);
      });
    paper.addEventListener("keydown", (event) => this.penByKey(event));
    paper.addEventListener("blur", () => {
      this.pen.down = this.pen.byKey = false;
      this.paintPaper();
    });
    this.root.addEventListener("keydown", (event) => {
      if (event.target.matches("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key >= "1" && event.key <= String(this.names.length)) this.teach(Number(event.key) - 1);
      else if (event.key === "Escape") this.clear();
      else return;
      event.preventDefault();
    });
    this.find("clear").addEventListener("click", () => this.clear());
    this.find("forget").addEventListener("click", () => this.restart());
    this.find("delay").addEventListener("change", () => this.restart());
    this.find("play").addEventListener("click", () => (this.playing ? this.stop() : this.play()));
    for (const each of this.root.querySelectorAll("[name=teach-part]")) each.addEventListener("change", () => this.show());
  }

  // Arrows move the pen, the space bar puts it down or lifts it.
  penByKey(event) {
    const { pen } = this, step = event.shiftKey ? 1 : 5;
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] || [0, 0];
    if (!dx && !dy && event.key !== " ") return;
    event.preventDefault();
    pen.byKey = true;
    pen.x = Math.min(Math.max(pen.x + step * dx, 2), SIDE - 2);
    pen.y = Math.min(Math.max(pen.y + step * dy, 2), SIDE - 2);
    if (event.key === " ") {
      pen.down = !pen.down;
      if (pen.down) this.begin([pen.x, pen.y]);
      else this.show(true);
    } else if (pen.down) this.draw([pen.x, pen.y]);
    this.paintPaper();
  }

  begin(point) {
    this.stop();
    this.ink = null; // a drawing of the test set is not drawn on
    this.strokes.push([point]);
    this.later();
  }

  draw(point) {
    if (!this.strokes.length) return; // cleared while the pen was down
    this.strokes[this.strokes.length - 1].push(point);
    this.later();
  }

  put(ink) {
    this.stop();
    this.wipe();
    this.ink = ink;
    this.show(true);
  }

  wipe() {
    this.strokes = [];
    this.ink = null;
    this.pen.down = false;
  }

  clear() {
    this.stop();
    this.wipe();
    this.show();
    this.say("The paper is empty.");
  }

  restart() {
    this.stop();
    this.wipe();
    const delay = Number(this.find("delay").value);
    const found = this.networks.find((each) => each.delay === delay) || this.networks[0];
    this.lesson = new Lesson(found.network, delay);
    this.find("delay-note").textContent = found.delay === delay ? "" : found.notes[delay] || "";
    this.show();
    this.say("Nothing has been taught yet.");
  }

  teach(name) {
    this.stop();
    if (!this.drawing()) return this.say("Draw something first, or take a drawing of the test set.");
    this.take(name);
  }

  take(name) {
    const step = this.lesson.teach(this.drawing(), name);
    this.wipe();
    this.show();
    const told = (right) => (right ? "right" : step.seen ? "wrong" : "could not know");
    this.say(`Named ${this.names[name]}. CL+LSTM: ${told(step.network)}; nearest in pixels: ${told(step.neighbour)}.`);
  }

  // Teach the characters of the set by themselves, in random order.
  play() {
    const { characters } = this.sets[this.find("set").value];
    const queue = characters.flatMap(({ images }, name) => images.map((data) => ({ ink: unpack(data), name })));
    for (let k = queue.length - 1; k > 0; k--) {
      const other = Math.floor(Math.random() * (k + 1));
      [queue[k], queue[other]] = [queue[other], queue[k]];
    }
    this.restart();
    const next = () => {
      const { ink, name } = queue.shift();
      this.ink = ink;
      this.show();
      this.playing = setTimeout(() => {
        this.take(name);
        if (queue.length) this.playing = setTimeout(next, 150);
        else this.stop();
      }, 450);
    };
    this.find("play").textContent = "Stop";
    next();
  }

  stop() {
    clearTimeout(this.playing);
    this.playing = undefined;
    this.find("play").textContent = "Teach these by themselves";
  }

  // -- what the reader sees

  drawing() {
    if (this.ink) return reduce(this.ink, this.size);
    if (!this.strokes.length) return null;
    return reduce(rasterise(fit(this.strokes, this.likeness), this.likeness.width), this.size);
  }

  later() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => this.show());
  }

  show(finished = false) {
    cancelAnimationFrame(this.waiting);
    this.waiting = undefined;
    const x = this.drawing(), answer = x && this.lesson.ask(x);
    this.paintPaper();
    paint(this.find("seen"), x || new Float32Array(this.size ** 2), this.size);
    this.showAnswers(answer);
    this.showStates(answer ? answer.state : this.lesson.state);
    this.showHistory();
    if (finished && answer) this.say(this.sentence(answer));
  }

  sentence({ chances, neighbours }) {
    const name = largest(chances), other = nearestName(neighbours);
    const pixels = other < 0 ? "knows nothing yet" : this.names[other];
    return `CL+LSTM: ${this.names[name]}, ${percent(chances[name])}. Nearest in pixels: ${pixels}.`;
  }

  say(text) {
    this.find("status").textContent = text;
  }

  paintPaper() {
    const { paper, pen } = this, context = paper.getContext("2d"), unit = paper.width / SIDE;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, paper.width, paper.height);
    context.setTransform(unit, 0, 0, unit, 0, 0);
    if (this.ink) this.ink.forEach((value, k) => value && context.fillRect(k % SIDE, Math.floor(k / SIDE), 1.05, 1.05));
    Object.assign(context, { lineWidth: this.likeness.width, lineCap: "round", lineJoin: "round" });
    for (const stroke of this.strokes) {
      context.beginPath();
      stroke.forEach((point) => context.lineTo(...point));
      context.lineTo(...stroke[0].map((value, axis) => (stroke.length > 1 ? stroke[stroke.length - 1][axis] : value)));
      context.stroke();
    }
    if (!pen.byKey) return;
    context.lineWidth = 0.7;
    context.beginPath();
    context.arc(pen.x, pen.y, pen.down ? 2 : 4, 0, 7);
    context.stroke();
  }

  showAnswers(answer) {
    const top = answer ? largest(answer.chances) : -1, close = answer ? nearestName(answer.neighbours) : -1;
    this.rows.forEach(({ button, bar, chance, nearest, distance }, name) => {
      button.replaceChildren(create("kbd", { "aria-hidden": "true" }, String(name + 1)), ` ${this.names[name]}`);
      button.setAttribute("aria-label", `Name the drawing ${this.names[name]}, key ${name + 1}`);
      bar.style.width = answer ? `${100 * answer.chances[name]}%` : "0";
      bar.parentNode.classList.toggle("teach-best", name === top);
      chance.textContent = answer ? percent(answer.chances[name]) : "–";
      const found = answer && answer.neighbours[name];
      paint(nearest, found ? found.x : new Float32Array(this.size ** 2), this.size);
      nearest.setAttribute("aria-label", found ? `nearest drawing named ${this.names[name]}` : "none yet");
      nearest.classList.toggle("teach-best", name === close);
      distance.textContent = found ? found.distance.toFixed(1) : "–";
    });
  }

  showStates(state) {
    const part = this.root.querySelector("[name=teach-part]:checked").value;
    const squash = part === "c" ? (values) => values.map(Math.tanh) : (values) => values;
    state.cl.forEach((each, index) => {
      const { size } = this.lesson.network.layers[index], canvas = this.find(`cl${index + 1}`);
      paint(canvas, ...mosaic(squash(each[part]), size));
      canvas.setAttribute("aria-label", `${each[part].length / size ** 2} maps of layer CL-${index + 1}, ${this.strength(each[part])}`);
    });
    const lstm = this.find("lstm");
    paint(lstm, squash(state.lstm[part]), 32);
    lstm.setAttribute("aria-label", `${state.lstm[part].length} units of the LSTM, ${this.strength(state.lstm[part])}`);
  }

  strength(values) {
    return `mean size ${(values.reduce((sum, value) => sum + Math.abs(value), 0) / values.length).toFixed(2)}`;
  }

  showHistory() {
    const { shown, known } = this.lesson, list = this.find("history");
    while (list.children.length > shown.length) list.lastChild.remove();
    shown.slice(list.children.length).forEach(({ x }) => {
      const canvas = create("canvas", { "data-ink": "", role: "img" });
      paint(canvas, x, this.size);
      list.append(create("li", {}, canvas, create("span"), create("span", { class: "teach-marks", "aria-hidden": "true" })));
    });
    shown.forEach(({ name, seen, network, neighbour }, index) => {
      const [canvas, label, marks] = list.children[index].children, mark = (right) => (right ? "✓" : seen ? "✗" : "·");
      label.textContent = this.names[name];
      marks.textContent = `${mark(network)} ${mark(neighbour)}`;
      const told = (right) => (right ? "right" : seen ? "wrong" : "could not know");
      canvas.setAttribute("aria-label", `${this.names[name]}: CL+LSTM ${told(network)}, nearest in pixels ${told(neighbour)}`);
      list.children[index].classList.toggle("teach-untold", index >= known.length);
    });
    const scored = shown.filter((each) => each.seen), right = (who) => scored.filter((each) => each[who]).length;
    this.find("score").textContent = scored.length
      ? `Of ${scored.length} drawings whose name had been told before: CL+LSTM ${right("network")} right, nearest in pixels ${right("neighbour")}.`
      : "Drawings that you have named are listed here, each with a mark for CL+LSTM and one for the nearest in pixels.";
  }
}

{
  const root = document.getElementById("teach");
  root.page = new Page(root, JSON.parse(document.getElementById("teach-data").textContent));
}
