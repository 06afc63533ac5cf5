// The map: counties from the shipped boundaries, insured cells as hexagons the sandbox computed,
// stations as dots. Draws longitude and latitude as they are: Kenya lies on the equator.

import { get } from "./ask.js";

const SVG = "http://www.w3.org/2000/svg";
/** The country with a margin: west, north, width, height in degrees (north is up). */
const KENYA = [33.5, -5.75, 8.8, 10.75];
const ZOOM_MS = 600;

const make = (name, attributes) => {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};

const path = (rings) =>
  rings.map((ring) => `M${ring.map(([lon, lat]) => `${lon} ${-lat}`).join("L")}Z`).join("");

export class CountryMap {
  #svg;
  #whole;
  #cells = make("g", {});
  #stations = make("g", {});
  #labels = make("g", {});
  #box = KENYA;
  #drawn = "";
  #cellsShown = [];
  #stationsShown = [];
  #onZoom;

  constructor(svg, onZoom) {
    this.#svg = svg;
    this.#onZoom = onZoom;
    this.#set(KENYA);
  }

  /** The land itself, once. */
  async load() {
    const [counties, { sold }] = await Promise.all([get("/page/assets/kenya.geojson"), get("/page/map")]);
    const land = make("g", {});
    for (const county of counties.features) {
      const shape = make("path", { class: "county", d: path(county.geometry.coordinates.flat()) });
      const title = make("title", {});
      title.textContent = county.properties.name;
      shape.append(title);
      land.append(shape);
    }
    for (const ring of sold) land.append(make("path", { class: "sold", d: path([ring]) }));
    this.#svg.append(land, this.#cells, this.#stations, this.#labels);
  }

  /** Insured cells and stations of the present. */
  show(cells, stations) {
    const now = JSON.stringify([cells.map((cell) => [cell.cell, cell.place]), stations.length]);
    if (now === this.#drawn) return;
    this.#drawn = now;
    this.#cellsShown = cells;
    this.#stationsShown = stations;
    this.#draw();
  }

  /** Shows the surroundings of a cell. */
  zoom(cell) {
    const lons = cell.around.map(([lon]) => lon);
    const lats = cell.around.map(([, lat]) => lat);
    const west = Math.min(...lons), east = Math.max(...lons);
    const south = Math.min(...lats), north = Math.max(...lats);
    const margin = (east - west) * 0.25;
    this.#go([west - margin, -north - margin, east - west + 2 * margin, north - south + 2 * margin]);
    this.#onZoom(true);
  }

  /** Shows the whole country again. */
  whole() {
    this.#go(KENYA);
    this.#onZoom(false);
  }

  #draw() {
    // sizes follow what is looked at, so that a dot is a dot at every scale
    const unit = this.#box[2] / 100;
    const isNear = this.#box[2] < 2;
    this.#svg.toggleAttribute("data-near", isNear);
    const shapes = [];
    const labels = [];
    const seen = new Set();
    for (const cell of this.#cellsShown) {
      if (seen.has(cell.cell)) continue;
      seen.add(cell.cell);
      shapes.push(make("path", { class: "around", d: path([cell.around]) }));
      // a cell is two kilometres across: on the whole country a dot stands for it
      shapes.push(isNear
        ? make("path", { class: "covered", d: path([cell.hexagon]) })
        : make("circle", { class: "covered", cx: cell.middle[0], cy: -cell.middle[1], r: unit * 1.3 }));
      const label = make("text", {
        class: "label", x: cell.middle[0] + unit * 3, y: -cell.middle[1] - unit * 2.4,
        "font-size": unit * 4.6, "stroke-width": unit * 1.2,
      });
      label.textContent = cell.place;
      labels.push(label);
    }
    const dots = (isNear ? this.#stationsShown : []).map((station) => {
      const dot = make("circle", { class: "station", cx: station.at[0], cy: -station.at[1], r: unit * 1.5 });
      const title = make("title", {});
      title.textContent = `Station ${station.name}`;
      dot.append(title);
      return dot;
    });
    this.#cells.replaceChildren(...shapes);
    this.#stations.replaceChildren(...dots);
    this.#labels.replaceChildren(...labels);
  }

  #set(box) {
    this.#box = box;
    this.#svg.setAttribute("viewBox", box.map((n) => n.toFixed(4)).join(" "));
  }

  #go(target) {
    const from = this.#box;
    const end = () => {
      this.#set(target);
      this.#draw();
    };
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      end();
      return;
    }
    const began = performance.now();
    const frame = (now) => {
      const t = Math.min(1, (now - began) / ZOOM_MS);
      const eased = 1 - (1 - t) ** 3;
      if (t >= 1) {
        end();
        return;
      }
      this.#set(target.map((to, at) => from[at] + (to - from[at]) * eased));
      this.#draw();
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }
}
