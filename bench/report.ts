export interface Measurement {
  readonly round: number
  readonly contender: string
  readonly work: string
  readonly unit: 'GiB' | '1,000 requests'
  /** CPU seconds of the measured process for each unit; null for the direct backend. */
  readonly cpuPerUnit: number | null
  readonly unitsPerSecond: number
}

export interface Report {
  readonly date: string
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string }
  readonly measurements: readonly Measurement[]
  readonly memory: readonly { readonly sizeMiB: number; readonly peakRssMiB: number }[]
}

/** The tables of a run: medians over its rounds. */
export function renderReport(report: Report): string {
  const { machine, measurements } = report
  const contenders = unique(measurements.map(({ contender }) => contender))
  const works = unique(measurements.map(({ work }) => work))
  const cell = (
    work: string,
    contender: string,
    pick: (m: Measurement) => number | null,
  ): string => {
    const values = measurements
      .filter((m) => m.work === work && m.contender === contender)
      .map(pick)
      .filter((value) => value !== null)
    return values.length === 0 ? '–' : median(values).toFixed(2)
  }
  const table = (title: string, pick: (m: Measurement) => number | null): string[] => [
    `\n## ${title}\n`,
    row(['work', ...contenders]),
    row(['---', ...contenders.map(() => '---')]),
    ...works.map((work) =>
      row([`${work} (${unitOf(work)})`, ...contenders.map((c) => cell(work, c, pick))]),
    ),
  ]
  const unitOf = (work: string): string => measurements.find((m) => m.work === work)?.unit ?? ''
  return [
    '# Results\n',
    `${report.date}, ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}. Medians of interleaved rounds; written by \`npm run bench\`.`,
    ...table('CPU seconds of the proxy process for each unit', (m) => m.cpuPerUnit),
    ...table('Units in a second', (m) => m.unitsPerSecond),
    '\n## Peak memory of a fresh worker after one PUT and one GET\n',
    row(['object, MiB', 'peak RSS, MiB']),
    row(['---', '---']),
    ...report.memory.map(({ sizeMiB, peakRssMiB }) =>
      row([String(sizeMiB), peakRssMiB.toFixed(0)]),
    ),
    '',
  ].join('\n')
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)]
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const [low = 0, high = 0] = [sorted[(sorted.length - 1) >> 1], sorted[middle]]
  return (low + high) / 2
}
