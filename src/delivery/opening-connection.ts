/**
 * One connection on its way. It has one deadline, and at any moment one socket, whose errors are told by the stage that
 * they came in. Invariant: its caller is called back once, and no socket of a connection that failed stays open.
 */
import type { Socket } from 'node:net'
import { ConnectionFailure, connectFailureClass } from './failure-class.ts'
import { setDeadline } from './fair-deadline.ts'

/** Up to the tunnel it is the proxy that fails; then the endpoint, before and in its TLS handshake. */
export type OpeningStage = 'proxy' | 'connecting' | 'handshaking'

export type Connected = (...result: [error: null, socket: Socket] | [error: Error, socket: null]) => void

export class OpeningConnection {
  stage: OpeningStage
  readonly #connected: Connected
  readonly #timer: NodeJS.Timeout
  #socket: Socket | undefined
  #isSettled = false

  constructor(options: { stage: OpeningStage; timeoutMs: number; connected: Connected }) {
    this.stage = options.stage
    this.#connected = options.connected
    this.#timer = setDeadline(this.fail, options.timeoutMs, new ConnectionFailure('connect_timeout'))
  }

  get isSettled(): boolean {
    return this.#isSettled
  }

  /** From now on this socket is the connection. The one below it keeps its listener: it may break as well. */
  watch(socket: Socket): void {
    this.#socket = socket
    socket.on('error', this.fail)
  }

  readonly fail = (error: Error): void => {
    if (this.#isSettled) return
    this.#settle()
    this.#socket?.destroy()
    this.#connected(this.#failure(error), null)
  }

  succeed(): void {
    const socket = this.#socket
    if (this.#isSettled || socket === undefined || socket.destroyed) return
    this.#settle()
    socket.off('error', this.fail)
    this.#connected(null, socket)
  }

  #failure(error: Error): ConnectionFailure {
    const errorClass = connectFailureClass(error, this.stage === 'handshaking')
    const isProxys = this.stage === 'proxy' && errorClass !== 'aborted'
    return new ConnectionFailure(isProxys ? 'proxy' : errorClass, error)
  }

  #settle(): void {
    this.#isSettled = true
    clearTimeout(this.#timer)
  }
}
