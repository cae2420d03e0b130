/**
 * `npm run bench:model -- results.json`: what a delivery costs by that run, how far a simulation with these costs is from
 * what was measured, and what it says of other machines.
 */
import { Command } from 'commander'
import { orSayWhy } from '../figures/no-figure.ts'
import { readResults } from '../results.ts'
import { modelReports } from './report.ts'

const [file = ''] = new Command('npm run bench:model --')
  .description('Fits a model of cost to a run of the benchmark that held every scenario, and checks it.')
  .argument('<results>', 'the JSON file that the run wrote')
  .parse().args

await orSayWhy(async () => {
  const { costs, check, sites } = modelReports(await readResults(file))
  console.log([costs, check, sites].join('\n\n'))
})
