#!/usr/bin/env node
import cluster from 'node:cluster'

if (cluster.isWorker) {
  const { runWorker } = await import('./workers.ts')
  runWorker()
} else {
  const { runCli } = await import('./cli/program.ts')
  await runCli(process.argv)
}
