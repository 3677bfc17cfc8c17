// Tables as etcdctl 3.7 draws them: box lines, headings in capitals and centred, cells to the right.

/** A heading's underscores and points become spaces. */
function heading(text: string): string {
  return text.replaceAll("_", " ").toUpperCase();
}

function centred(text: string, width: number): string {
  const gap = width - text.length;
  return text.padStart(text.length + Math.floor(gap / 2)).padEnd(width);
}

export function drawTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const titles = headings.map(heading);
  const widths = titles.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const rule = (left: string, middle: string, right: string): string =>
    `${left}${widths.map((width) => "─".repeat(width + 2)).join(middle)}${right}\n`;
  const line = (cells: readonly string[]): string => `│ ${cells.join(" │ ")} │\n`;
  let text = rule("┌", "┬", "┐") + line(titles.map((title, i) => centred(title, widths[i]!)));
  if (rows.length > 0) text += rule("├", "┼", "┤");
  for (const row of rows) text += line(row.map((cell, i) => cell.padStart(widths[i]!)));
  return text + rule("└", "┴", "┘");
}
