/**
 * Four suites. `unit` needs nothing; the others share one Postgres, which test/support/global-setup.ts finds or starts.
 *
 * They run one suite after the other (`groupOrder`), and what measures time runs alone. No test is ever retried.
 */
import { defineConfig } from 'vitest/config'

/** Every test's sidecars are searched for secrets and payloads when it has ended. */
const noLeaks = ['test/support/no-leaks.ts']
const postgres = ['test/support/global-setup.ts']

export default defineConfig({
  test: {
    reporters: ['default'],
    slowTestThreshold: 5000,
    hookTimeout: 60_000,
    teardownTimeout: 30_000,
    // Of tests that say themselves that they wait side by side.
    maxConcurrency: 6,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          setupFiles: noLeaks,
          testTimeout: 20_000,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          globalSetup: postgres,
          setupFiles: noLeaks,
          testTimeout: 60_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'faults',
          include: ['test/faults/**/*.test.ts'],
          globalSetup: postgres,
          setupFiles: noLeaks,
          testTimeout: 120_000,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['test/support/chromium.ts', ...postgres],
          setupFiles: noLeaks,
          testTimeout: 120_000,
          maxWorkers: 1,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
})
