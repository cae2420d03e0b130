/**
 * A name server on a free UDP port of 127.0.0.1 that knows what the test tells it. It may also not answer at all, which is
 * what a dead name server looks like from here.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'

/** Addresses of either family; or that there is no such name, that the server failed, or silence. */
export type NameAnswer = readonly string[] | 'absent' | 'failure' | 'silence'

const TYPE_A = 1
const TYPE_AAAA = 28
const RESPONSE_CODES = { absent: 3, failure: 2 } as const

export class NameServer implements AsyncDisposable {
  /** `name A` or `name AAAA`, as they came. */
  readonly questions: string[] = []
  readonly #socket: Socket
  readonly #names = new Map<string, { answer: NameAnswer; ttlSeconds: number }>()

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('message', (message, from) => this.#answer(message, from))
  }

  /** Denies every name until told otherwise. */
  static async start(): Promise<NameServer> {
    const socket = createSocket('udp4')
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind(0, '127.0.0.1', resolve)
    })
    return new NameServer(socket)
  }

  /** As `Resolver.setServers` takes it. */
  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`
  }

  /** `name` may say the type too, `a.example AAAA`, which wins over the name alone. */
  on(name: string, answer: NameAnswer, ttlSeconds = 0): void {
    this.#names.set(name, { answer, ttlSeconds })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.close(resolve))
  }

  #answer(message: Buffer, from: RemoteInfo): void {
    const { name, type, end } = readQuestion(message)
    const typed = `${name} ${type === TYPE_AAAA ? 'AAAA' : 'A'}`
    this.questions.push(typed)
    const { answer, ttlSeconds } = this.#names.get(typed) ??
      this.#names.get(name) ?? { answer: 'absent' as const, ttlSeconds: 0 }
    if (answer === 'silence') return
    const addresses = typeof answer === 'string' ? [] : answer.filter((each) => typeOf(each) === type)
    const header = Buffer.alloc(12)
    header.writeUInt16BE(message.readUInt16BE(0), 0)
    header.writeUInt16BE(0x8180 | (typeof answer === 'string' ? RESPONSE_CODES[answer] : 0), 2)
    header.writeUInt16BE(1, 4)
    header.writeUInt16BE(addresses.length, 6)
    const records = addresses.map((address) => record(address, ttlSeconds))
    this.#socket.send(Buffer.concat([header, message.subarray(12, end), ...records]), from.port, from.address)
  }
}

function readQuestion(message: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), type: message.readUInt16BE(at + 1), end: at + 5 }
}

function record(address: string, ttlSeconds: number): Buffer {
  const bytes = isIPv6(address) ? ipv6Bytes(address) : Buffer.from(address.split('.').map(Number))
  const head = Buffer.alloc(12)
  head.writeUInt16BE(0xc00c, 0) // the name of the question
  head.writeUInt16BE(typeOf(address), 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt32BE(ttlSeconds, 6)
  head.writeUInt16BE(bytes.length, 10)
  return Buffer.concat([head, bytes])
}

function ipv6Bytes(address: string): Buffer {
  const [before = '', after = ''] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const groups = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((each) => Number.parseInt(each, 16))
  const [first, last] = [groups(before), groups(after)]
  const all = [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last]
  return Buffer.from(all.flatMap((each) => [each >> 8, each & 0xff]))
}

function typeOf(address: string): number {
  return isIPv6(address) ? TYPE_AAAA : TYPE_A
}
