// Which of a member's peer URLs is used: the one that worked last; one that does not answer gives way to the next (urlpick.go).

export class UrlPicker {
  #urls: readonly string[];
  #picked = 0;

  /** At least one URL. */
  constructor(urls: readonly string[]) {
    this.#urls = urls;
  }

  update(urls: readonly string[]): void {
    this.#urls = urls;
    this.#picked = 0;
  }

  pick(): string {
    return this.#urls[this.#picked]!;
  }

  unreachable(url: string): void {
    if (url === this.#urls[this.#picked]) this.#picked = (this.#picked + 1) % this.#urls.length;
  }
}
