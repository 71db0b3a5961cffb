// Files, from wherever they come: picked, dropped, or at an address.

/** Calls `openModel` or `openAudio` with each file that is picked or dropped. */
export function onFiles(openModel, openAudio) {
  const pickers = { "model-file": openModel, "audio-file": openAudio };
  for (const [id, open] of Object.entries(pickers)) {
    const picker = document.getElementById(id);
    picker.onchange = () => {
      if (picker.files.length) open(picker.files[0]);
      picker.value = ""; // so that the same file can be picked again
    };
  }
  document.ondragover = (event) => event.preventDefault();
  document.ondrop = (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (file) (file.name.endsWith(".onnx") ? openModel : openAudio)(file);
  };
}

export async function download(url) {
  const response = await fetch(url);
  if (!response.ok) {
    throw new Error(
      `${url} cannot be loaded: the server answered ${response.status}. ` +
        "Check the address, or choose a file.",
    );
  }
  const name = new URL(url, location).pathname.split("/").at(-1);
  return new File([await response.blob()], decodeURIComponent(name));
}

export async function exists(url) {
  return (await fetch(url, { method: "HEAD" })).ok;
}
