// How long the processor takes, as a histogram against the delay that it has.

import { useEffect, useRef } from "preact/hooks";
import type uPlot from "uplot";
import type { Batch, Stream } from "../../api/types";
import { roundTrips } from "../../model/batches";
import { plural, seconds } from "../../model/format";
import { theme } from "../../theme";
import { type Histogram, histogram, quantile } from "../../model/histogram";

const MOST_BUCKETS = 30;
const HEIGHT = 180;

/** What of the delay is kept for filling the slot. */
const REMUX_MARGIN_S = 0.5;

export function RoundTrips({
  stream,
  batches,
  rendition,
}: {
  stream: Stream;
  batches: readonly Batch[];
  rendition: string | undefined;
}) {
  const trips = roundTrips(batches, rendition);
  const figures: [string, number | undefined][] = [
    ["Median", quantile(trips, 0.5)],
    ["95 % below", quantile(trips, 0.95)],
    ["Longest", quantile(trips, 1)],
  ];
  return (
    <section class="card overview-wide" aria-labelledby="trips">
      <div class="card-head">
        <h2 id="trips">Processor round trip</h2>
        <span class="dim">
          {rendition}, {plural(trips.length, "batch", "batches")},{" "}
          {seconds(Math.max(0, (stream.delay ?? stream.settings.delay) - REMUX_MARGIN_S))} allowed
        </span>
      </div>
      {trips.length === 0 ? (
        <p class="dim empty-note">The processor has not answered yet.</p>
      ) : (
        <div class="trips">
          <dl class="trips-figures">
            {figures.map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd class="num">{seconds(value)}</dd>
              </div>
            ))}
          </dl>
          <Chart data={histogram(trips, MOST_BUCKETS)} />
        </div>
      )}
    </section>
  );
}

function Chart({ data }: { data: Histogram }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const shown = useRef(data);
  shown.current = data;
  const key = `${data.width} ${data.counts.join(",")}`;

  useEffect(() => {
    let ended = false;
    const element = box.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(() =>
      plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }),
    );
    void import("./chart").then(({ barChart }) => {
      if (ended) return;
      plot.current = barChart(element, HEIGHT, shown.current);
      observer.observe(element);
    });
    return () => {
      ended = true;
      observer.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
    // The bars' width is the chart's own; other counts are set below.
  }, [data.width]);

  useEffect(() => {
    const centres = data.edges.map((edge) => edge + data.width / 2);
    plot.current?.setData([centres, data.counts]);
  }, [key]);
  const shownTheme = theme.value;
  useEffect(() => plot.current?.redraw(), [shownTheme]);
  const busiest = data.counts.indexOf(Math.max(...data.counts));
  const label = `Histogram of round trips: most take ${seconds(data.edges[busiest])} to ${seconds((data.edges[busiest] ?? 0) + data.width)}`;
  return <div class="chart" ref={box} role="img" aria-label={label} />;
}
