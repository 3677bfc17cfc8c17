// An ASCII table as etcd's tools draw it: upper-case heads in the middle, cells to the right.

function centered(text: string, width: number): string {
  const left = Math.floor((width - text.length) / 2);
  return " ".repeat(left) + text.padEnd(width - left);
}

export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const heads = head.map((name) => name.toUpperCase());
  const widths = heads.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]!.length)));
  const rule = (left: string, middle: string, right: string): string =>
    `${left}${widths.map((width) => "─".repeat(width + 2)).join(middle)}${right}\n`;
  const line = (cells: readonly string[]): string => `│${cells.map((cell) => ` ${cell} `).join("│")}│\n`;
  let text =
    rule("┌", "┬", "┐") + line(heads.map((name, i) => centered(name, widths[i]!))) + rule("├", "┼", "┤");
  for (const row of rows) text += line(row.map((cell, i) => cell.padStart(widths[i]!)));
  return text + rule("└", "┴", "┘");
}
