// Names the nearest images of a gallery in the browser: ONNX Runtime Web on one thread of WebAssembly.
const NEAREST = 5;
const input = document.querySelector("input");
const picture = document.querySelector("img");
const table = document.querySelector("table");

function say(text, state) {
  document.querySelector("[role=status]").textContent = text;
  document.body.dataset.state = state;
}

async function fetched(name) {
  const answer = await fetch(`model/${name}`);
  if (!answer.ok) {
    throw new Error(
      `model/${name} is not there (${answer.status}): put a model beside this page, then load it again:\n` +
      "lookalike export bundle=models/mine gallery=true output=examples/browser/model",
    );
  }
  return answer;
}

async function runtime() {
  try {
    return await import("./node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs");
  } catch {
    throw new Error("onnxruntime-web is not there: type make example, then load this page again");
  }
}

// What each of `after` new pixels takes of `before` old ones: [first, weights]. Shrinking averages the area that a new
// pixel covers; enlarging is linear between the two nearest centres.
function weightsOf(before, after) {
  const scale = before / after;
  return Array.from({length: after}, (_, place) => {
    if (scale < 1) {
      const centre = Math.min(Math.max((place + 0.5) * scale - 0.5, 0), before - 1);
      const first = Math.min(Math.floor(centre), Math.max(before - 2, 0));
      return [first, before === 1 ? [1] : [1 - (centre - first), centre - first]];
    }
    const start = place * scale, end = Math.min(start + scale, before), first = Math.floor(start), weights = [];
    for (let old = first; old < end - 1e-9; old++) {
      weights.push((Math.min(old + 1, end) - Math.max(old, start)) / (end - start));
    }
    return [first, weights];
  });
}

// RGBA of any size -> RGB of the wanted one, rows first and columns then.
function resized({data, width, height}, wide, high) {
  const across = weightsOf(width, wide), down = weightsOf(height, high);
  const narrow = new Float32Array(height * wide * 3), result = new Uint8Array(high * wide * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < wide; x++) {
      const [first, weights] = across[x];
      let red = 0, green = 0, blue = 0;
      for (let step = 0, at = (y * width + first) * 4; step < weights.length; step++, at += 4) {
        red += weights[step] * data[at];
        green += weights[step] * data[at + 1];
        blue += weights[step] * data[at + 2];
      }
      narrow.set([red, green, blue], (y * wide + x) * 3);
    }
  }
  for (let y = 0; y < high; y++) {
    const [first, weights] = down[y];
    for (let column = 0; column < wide * 3; column++) {
      let sum = 0;
      for (let step = 0; step < weights.length; step++) {
        sum += weights[step] * narrow[(first + step) * wide * 3 + column];
      }
      result[y * wide * 3 + column] = Math.round(sum);
    }
  }
  return result;
}

async function pixelsOf(file, pixels) {
  const {width, height, resize, border} = pixels;
  const bitmap = await createImageBitmap(file, {imageOrientation: "from-image", colorSpaceConversion: "none"});
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", {willReadFrequently: true});
  canvas.drawImage(bitmap, 0, 0);
  const across = width / bitmap.width, down = height / bitmap.height;
  if (resize === "crop") { // the centre is cut out, then scaled
    const factor = Math.max(across, down);
    const wide = Math.min(bitmap.width, Math.max(1, Math.round(width / factor)));
    const high = Math.min(bitmap.height, Math.max(1, Math.round(height / factor)));
    const left = Math.floor((bitmap.width - wide) / 2), top = Math.floor((bitmap.height - high) / 2);
    return resized(canvas.getImageData(left, top, wide, high), width, height);
  }
  const whole = canvas.getImageData(0, 0, bitmap.width, bitmap.height);
  if (resize === "stretch") return resized(whole, width, height);
  const factor = Math.min(across, down); // scaled, with borders around it
  const wide = Math.max(1, Math.round(bitmap.width * factor)), high = Math.max(1, Math.round(bitmap.height * factor));
  const small = resized(whole, wide, high), padded = new Uint8Array(height * width * 3).fill(border);
  const left = Math.floor((width - wide) / 2), top = Math.floor((height - high) / 2);
  for (let y = 0; y < high; y++) {
    padded.set(small.subarray(y * wide * 3, (y + 1) * wide * 3), ((top + y) * width + left) * 3);
  }
  return padded;
}

function embeddingsOf(gallery) {
  const bytes = Uint8Array.from(atob(gallery.embeddings), (letter) => letter.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

function nearest(embedding, known, gallery) {
  const rows = gallery.labels.map((label, row) => {
    let similarity = 0;
    for (let place = 0; place < gallery.size; place++) similarity += embedding[place] * known[row * gallery.size + place];
    return {label, path: gallery.paths[row], similarity};
  });
  return rows.sort((one, other) => other.similarity - one.similarity).slice(0, NEAREST);
}

function show(rows) {
  table.tBodies[0].replaceChildren(...rows.map(({label, path, similarity}) => {
    const line = document.createElement("tr");
    for (const text of [label, path, similarity.toFixed(4)]) line.insertCell().textContent = text;
    return line;
  }));
  table.hidden = false;
}

async function start() {
  const contract = await (await fetched("model.json")).json();
  const gallery = await (await fetched("gallery.json")).json();
  if (gallery.fingerprint !== contract.fingerprint) throw new Error("the gallery is of another model: export both again");
  const {interpolation} = contract.pixels;
  if (interpolation !== "area") throw new Error(`this page shrinks by area averaging, the model wants ${interpolation}`);
  const ort = await runtime();
  ort.env.wasm.numThreads = 1;
  const model = await (await fetched("model.onnx")).arrayBuffer();
  const session = await ort.InferenceSession.create(model, {executionProviders: ["wasm"]});
  const known = embeddingsOf(gallery);

  input.addEventListener("change", async () => {
    const [file] = input.files;
    if (!file) return;
    say("Looking …", "busy");
    try {
      picture.src = URL.createObjectURL(file);
      picture.hidden = false;
      const began = performance.now();
      const images = new ort.Tensor("uint8", await pixelsOf(file, contract.pixels), [1, contract.pixels.height, contract.pixels.width, 3]);
      const {embeddings} = await session.run({images});
      document.body.dataset.embedding = JSON.stringify(Array.from(embeddings.data));
      const rows = nearest(embeddings.data, known, gallery);
      const seconds = (performance.now() - began) / 1000;
      show(rows);
      say(`${rows[0].label}, among ${gallery.count} known images, in ${seconds.toFixed(2)} s.`, "ready");
    } catch (error) {
      table.hidden = true;
      say(`This photograph cannot be used: ${error.message}`, "failed");
    }
  });
  input.disabled = false;
  say(`Ready: ${gallery.count} known images.`, "ready");
}

start().catch((error) => say(error.message, "failed"));
