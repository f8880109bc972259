// uPlot, fetched when a chart is first drawn.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { seconds } from "../../model/format";
import type { Histogram } from "../../model/histogram";

export function barChart(element: HTMLElement, height: number, data: Histogram): uPlot {
  // A canvas knows no variables: the element's own colour lends its computed form.
  const colour = (name: string) => () => {
    element.style.color = `var(${name})`;
    return getComputedStyle(element).color;
  };
  const axis = (): uPlot.Axis => ({
    stroke: colour("--dim"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { stroke: colour("--line"), width: 1 },
    font: "12px system-ui, sans-serif",
  });
  const centres = data.edges.map((edge) => edge + data.width / 2);
  const options: uPlot.Options = {
    width: element.clientWidth,
    height,
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { time: false, range: (_, least, most) => [least - data.width / 2, most + data.width / 2] },
      y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] },
    },
    axes: [
      { ...axis(), space: 70, values: (_, marks) => marks.map((mark) => seconds(mark)) },
      {
        ...axis(),
        size: 44,
        values: (_, marks) => marks.map((mark) => (Number.isInteger(mark) ? String(mark) : "")),
      },
    ],
    series: [
      {},
      {
        fill: colour("--processor"),
        width: 0,
        points: { show: false },
        ...(uPlot.paths.bars ? { paths: uPlot.paths.bars({ size: [0.9, 80] }) } : {}),
      },
    ],
  };
  return new uPlot(options, [centres, data.counts], element);
}
