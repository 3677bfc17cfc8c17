// The metrics registry: implements src/ports/metrics with plain number cells and renders Prometheus' text when /metrics is asked
// for. Wired by main.ts; counting never allocates, never looks a name up, and never waits for a scrape.
import { assert, unreachable } from "../base/assert.ts";
import type { Counter, Gauge, Histogram, Metrics } from "../ports/metrics.ts";
import { byteOrder, escapeHelp, formatFloat, type Labels, labelList } from "./metrics-format.ts";

export type MetricType = "counter" | "gauge" | "histogram" | "summary";

/** One name of the catalog. `labels` in the order in which etcd declares them. */
export type MetricDefinition = {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  readonly labels?: readonly string[];
  readonly buckets?: readonly number[];
};

/** Series per name that the registry holds; what would be the next one lands in a cell that is never shown. */
const SERIES_PER_NAME_MAX = 10_000;

class NumberCell implements Counter, Gauge {
  value = 0;
  add(n: number): void {
    this.value += n;
  }
  set(n: number): void {
    this.value = n;
  }
}

class ReadCell {
  readonly #read: () => number;
  constructor(read: () => number) {
    this.#read = read;
  }
  get value(): number {
    return this.#read();
  }
}

class HistogramCell implements Histogram {
  readonly bounds: readonly number[];
  /** One count per bound, and one for what is above all of them. Not cumulative: rendering adds up. */
  readonly counts: Float64Array;
  sum = 0;
  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }
  observe(value: number, times = 1): void {
    const bounds = this.bounds;
    const length = bounds.length;
    let i = 0;
    while (i < length && value > bounds[i]!) i++;
    this.counts[i]! += times;
    this.sum += value * times;
  }
}

type Cell = NumberCell | ReadCell | HistogramCell;
type Series = { readonly labels: string; readonly sortKey: string; readonly cell: Cell };

class Family {
  readonly definition: MetricDefinition;
  /** Renders the family's lines itself, when its values live elsewhere (summaries). */
  lines: (() => string) | undefined = undefined;
  readonly #series = new Map<string, Series>();
  /** The series in the order of the text; made when it is next asked for. */
  #sorted: readonly Series[] | undefined = undefined;

  constructor(definition: MetricDefinition) {
    this.definition = definition;
  }

  get size(): number {
    return this.#series.size;
  }

  get(key: string): Series | undefined {
    return this.#series.get(key);
  }

  set(series: Series): void {
    this.#series.set(series.labels, series);
    this.#sorted = undefined;
  }

  delete(key: string): void {
    this.#series.delete(key);
    this.#sorted = undefined;
  }

  sorted(): readonly Series[] {
    this.#sorted ??= [...this.#series.values()].sort((a, b) => byteOrder(a.sortKey, b.sortKey));
    return this.#sorted;
  }
}

export class MetricsRegistry implements Metrics {
  readonly #families = new Map<string, Family>();
  #sorted: Family[] = [];

  /** Declares names ahead of their first event. One without labels shows at once with zero, as in Go's client. */
  declare(definitions: readonly MetricDefinition[]): void {
    for (const definition of definitions) {
      const family = this.#family(definition);
      if ((definition.labels ?? []).length > 0 || definition.type === "summary") continue;
      this.#cell(family, undefined, () => newCell(definition));
    }
  }

  counter(name: string, help: string, labels?: Labels): NumberCell {
    return this.#number({ name, type: "counter", help }, labels);
  }

  gauge(name: string, help: string, labels?: Labels): NumberCell {
    return this.#number({ name, type: "gauge", help }, labels);
  }

  observed(kind: "gauge" | "counter", name: string, help: string, read: () => number, labels?: Labels): void {
    const family = this.#family({ name, type: kind, help });
    family.delete(seriesKey(labels));
    this.#cell(family, labels, () => new ReadCell(read));
  }

  histogram(name: string, help: string, buckets: readonly number[], labels?: Labels): HistogramCell {
    const family = this.#family({ name, type: "histogram", help, buckets });
    const bounds = family.definition.buckets ?? buckets;
    const cell = this.#cell(family, labels, () => new HistogramCell(bounds));
    assert(cell instanceof HistogramCell, `${name} is a histogram`);
    return cell;
  }

  /** A family whose lines come ready made, each ended by a line feed. */
  rendered(definition: MetricDefinition, lines: () => string): void {
    this.#family(definition).lines = lines;
  }

  /** Takes a series out, e.g. the cluster version that no longer holds or a peer that left. */
  remove(name: string, labels?: Labels): void {
    this.#families.get(name)?.delete(seriesKey(labels));
  }

  /** The whole text, in pieces of one family each, so that a caller can give way in between. */
  *render(): Generator<string> {
    if (this.#sorted.length !== this.#families.size) {
      this.#sorted = [...this.#families.values()].sort((a, b) =>
        byteOrder(a.definition.name, b.definition.name),
      );
    }
    for (const family of this.#sorted) {
      const text = renderFamily(family);
      if (text !== "") yield text;
    }
  }

  text(): string {
    let all = "";
    for (const piece of this.render()) all += piece;
    return all;
  }

  describe(): string {
    let series = 0;
    for (const family of this.#families.values()) series += family.size;
    return `metrics: ${this.#families.size} names, ${series} series`;
  }

  #number(definition: MetricDefinition, labels: Labels | undefined): NumberCell {
    const cell = this.#cell(this.#family(definition), labels, () => new NumberCell());
    assert(cell instanceof NumberCell, `${definition.name} is not computed at scrape time`);
    return cell;
  }

  #family(definition: MetricDefinition): Family {
    const known = this.#families.get(definition.name);
    if (known !== undefined) {
      assert(known.definition.type === definition.type, `${definition.name} is a ${known.definition.type}`);
      return known;
    }
    const family = new Family(definition);
    this.#families.set(definition.name, family);
    return family;
  }

  #cell(family: Family, labels: Labels | undefined, make: () => Cell): Cell {
    const key = seriesKey(labels);
    const known = family.get(key);
    if (known !== undefined) return known.cell;
    const declared = family.definition.labels;
    if (declared !== undefined && labels !== undefined) {
      for (const name of Object.keys(labels)) {
        assert(declared.includes(name), `${family.definition.name} has a label ${name}`);
      }
    }
    const cell = make();
    if (family.size < SERIES_PER_NAME_MAX) {
      family.set({ labels: key, sortKey: sortKey(labels), cell });
    }
    return cell;
  }
}

function newCell(definition: MetricDefinition): Cell {
  return definition.type === "histogram" ? new HistogramCell(definition.buckets ?? []) : new NumberCell();
}

function seriesKey(labels: Labels | undefined): string {
  return labels === undefined ? "" : labelList(labels);
}

/** Go's client orders series by the values of the labels, in the order of the labels' names. */
function sortKey(labels: Labels | undefined): string {
  if (labels === undefined) return "";
  const names = Object.keys(labels).sort(byteOrder);
  return names.map((name) => labels[name]!).join("\u0000");
}

function renderFamily(family: Family): string {
  const { name, help, type } = family.definition;
  let lines = family.lines === undefined ? "" : family.lines();
  for (const series of family.sorted()) {
    const cell = series.cell;
    if (cell instanceof HistogramCell) lines += renderHistogram(name, series.labels, cell);
    else lines += `${name}${series.labels === "" ? "" : `{${series.labels}}`} ${formatFloat(cell.value)}\n`;
  }
  if (lines === "") return "";
  switch (type) {
    case "counter":
    case "gauge":
    case "histogram":
    case "summary":
      return `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n${lines}`;
    default:
      return unreachable(type);
  }
}

function renderHistogram(name: string, labels: string, cell: HistogramCell): string {
  const prefix = labels === "" ? `${name}_bucket{le="` : `${name}_bucket{${labels},le="`;
  const suffix = labels === "" ? "" : `{${labels}}`;
  let lines = "";
  let total = 0;
  for (let i = 0; i < cell.bounds.length; i++) {
    total += cell.counts[i]!;
    lines += `${prefix}${formatFloat(cell.bounds[i]!)}"} ${formatFloat(total)}\n`;
  }
  total += cell.counts[cell.bounds.length]!;
  lines += `${prefix}+Inf"} ${formatFloat(total)}\n`;
  return `${lines}${name}_sum${suffix} ${formatFloat(cell.sum)}\n${name}_count${suffix} ${formatFloat(total)}\n`;
}
