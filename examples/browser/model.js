// An exported classifier: its description, and scores for a window of audio.

import * as ort from "onnxruntime-web";
import { PbfReader } from "pbf";

ort.env.wasm.proxy = true; // in a worker, so that the page stays responsive

const EXPORT_ONE =
  "Export one with `keras-c2f export --run RUN --format onnx`.";

/** Starts the classifier in the bytes of an ONNX file. */
export async function loadModel(bytes, name) {
  const description = describe(bytes, name);
  let session;
  try {
    session = await ort.InferenceSession.create(bytes);
  } catch (error) {
    throw new Error(
      `${name} is described as a classifier, but ONNX Runtime cannot run it: ` +
        `${error.message} ${EXPORT_ONE}`,
    );
  }

  /**
   * `scores`, the probability of each class in a recording of at most `num_samples`;
   * of a cascade also `ended`, the index of the resolution that was sure of them.
   */
  async function score(audio) {
    const length = description.num_samples;
    const waveform = new Float32Array(length); // the rest stays zero
    waveform.set(audio);
    const { scores, ended } = await session.run({
      waveform: new ort.Tensor("float32", waveform, [1, length]),
      num_samples: new ort.Tensor("int32", [audio.length], [1]),
    });
    return { scores: scores.data, ended: ended?.data[0] };
  }

  return { ...description, name, score, release: () => session.release() };
}

/** What keras_c2f wrote about the model: class names, sample rate, window. */
function describe(bytes, name) {
  const { isModel, properties } = readProto(bytes);
  if (!isModel) {
    throw new Error(`${name} is not an ONNX file. ${EXPORT_ONE}`);
  }
  if (!properties.keras_c2f) {
    throw new Error(
      `${name} is an ONNX file without keras_c2f's description, so its class ` +
        `names and sample rate are unknown. ${EXPORT_ONE}`,
    );
  }
  const description = JSON.parse(properties.keras_c2f);
  for (const key of ["class_names", "sample_rate", "num_samples"]) {
    if (!description[key]) {
      throw new Error(`${name}'s description has no ${key}. ${EXPORT_ONE}`);
    }
  }
  return description;
}

// ONNX Runtime's JavaScript does not give a file's metadata, so it is read here.
// Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
function readProto(bytes) {
  const found = { isModel: false, properties: {} };
  try {
    return new PbfReader(bytes).readFields(readModel, found);
  } catch {
    return { ...found, isModel: false }; // the bytes are of another format
  }
}

function readModel(field, found, reader) {
  if (field === 7) {
    found.isModel = true; // ModelProto.graph
  } else if (field === 14) {
    const entry = reader.readMessage(readEntry, {}); // .metadata_props
    found.properties[entry.key] = entry.value;
  }
}

function readEntry(field, entry, reader) {
  if (field === 1) entry.key = reader.readString();
  if (field === 2) entry.value = reader.readString();
}
