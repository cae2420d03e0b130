/** What this process makes of an answer that came while it stood still. */
import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import { parseNetwork } from '../../src/core/address-policy.ts'
import { WebhookClient } from '../../src/delivery/webhook-client.ts'

const TIMEOUT_MS = 300

/** An endpoint with a thread of its own: says in `state[0]` that a request has come, and answers a moment later. */
const BESIDE = /* js */ `
  const { parentPort, workerData: state } = require('node:worker_threads')
  const server = require('node:net').createServer((socket) => {
    socket.on('error', () => {}).once('data', () => {
      Atomics.store(state, 0, 1)
      setTimeout(() => socket.write('HTTP/1.1 204 No Content\\r\\n\\r\\n'), 20)
    })
  })
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))`

async function openBeside(state: Int32Array): Promise<string> {
  const worker = new Worker(BESIDE, { eval: true, workerData: state })
  onTestFinished(async () => void (await worker.terminate()))
  const [port] = (await once(worker, 'message')) as [number]
  return `http://127.0.0.1:${port}/`
}

test('an answer that came in time is read, though this process stood still until after the deadline', async () => {
  const state = new Int32Array(new SharedArrayBuffer(8))
  const url = await openBeside(state)
  await using client = new WebhookClient({
    policy: { allowHttp: true, allowNetworks: [parseNetwork('127.0.0.1/32')].flatMap((it) => it ?? []) },
  })
  const response = client.send(
    { url, method: 'POST', headers: {}, body: Buffer.from('{}') },
    { timeoutMs: TIMEOUT_MS },
  )
  while (Atomics.load(state, 0) === 0) await setImmediate()
  Atomics.wait(state, 1, 0, 2 * TIMEOUT_MS)
  expect(await response).toMatchObject({ kind: 'answered', status: 204 })
})
