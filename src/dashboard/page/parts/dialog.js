/**
 * Dialogs on the browser's own `<dialog>`: it keeps the focus within, closes on Escape, and gives the focus back.
 */
import { h, replace, uniqueId } from '../dom.js'
import { icon } from './icon.js'
import { failureText } from './toast.js'

/** @import { Child } from '../dom.js' */
/** @typedef {{ readonly element: HTMLDialogElement, close: () => void }} OpenDialog */

/**
 * @param {{ title: string, isWide?: boolean, signal?: AbortSignal, onClosed?: () => void, body: (dialog: OpenDialog) => Child }} options
 * @returns {OpenDialog}
 */
export function openDialog({ title, isWide = false, signal, onClosed, body }) {
  const titleId = uniqueId('dialog')
  const opener = document.activeElement
  const element = h('dialog', { class: isWide ? 'dialog wide' : 'dialog', 'aria-labelledby': titleId })
  const close = () => {
    if (element.open) element.close()
  }
  const open = { element, close }
  replace(
    element,
    h(
      'header',
      { class: 'dialog-head' },
      h('h2', { id: titleId }, title),
      h(
        'button',
        { type: 'button', class: 'icon-button', 'aria-label': 'Close', onclick: close },
        icon('cross'),
      ),
    ),
    h('div', { class: 'dialog-body' }, body(open)),
  )
  element.addEventListener('close', () => {
    element.remove()
    onClosed?.()
    if (opener instanceof HTMLElement && opener.isConnected) opener.focus({ preventScroll: true })
    else document.querySelector('main')?.focus({ preventScroll: true })
  })
  element.addEventListener('pointerdown', (event) => {
    if (event.target === element && !isInside(element, event)) close()
  })
  signal?.addEventListener('abort', close)
  document.body.append(element)
  element.showModal()
  return open
}

/** @param {Element} element @param {PointerEvent} event */
function isInside(element, { clientX, clientY }) {
  const { left, right, top, bottom } = element.getBoundingClientRect()
  return clientX >= left && clientX <= right && clientY >= top && clientY <= bottom
}

/**
 * Asks before something is done; does it while the dialog waits, and shows there why it could not be done.
 * @param {{ title: string, text: Child, verb: string, isDangerous?: boolean, signal?: AbortSignal, run: () => Promise<unknown> }} options
 */
export function confirm({ title, text, verb, isDangerous = false, signal, run }) {
  openDialog({
    title,
    ...(signal === undefined ? {} : { signal }),
    body: (dialog) => {
      const fault = h('div', { role: 'alert' })
      const act = button(verb, isDangerous ? 'button danger' : 'button primary', async () => {
        replace(fault)
        try {
          await run()
          dialog.close()
        } catch (error) {
          replace(fault, h('p', { class: 'fault' }, failureText(error)))
        }
      })
      return [
        h('div', { class: 'prose' }, text),
        fault,
        h(
          'footer',
          { class: 'dialog-foot' },
          button('Cancel', 'button', () => dialog.close()),
          act,
        ),
      ]
    },
  })
}

/**
 * A button that cannot be pressed again while what it does is under way.
 * @param {Child} label
 * @param {string} className
 * @param {() => unknown} run
 */
export function button(label, className, run) {
  const element = h('button', { type: 'button', class: className }, label)
  element.addEventListener('click', () => {
    if (element.getAttribute('aria-disabled') === 'true') return
    const result = run()
    if (!(result instanceof Promise)) return
    element.setAttribute('aria-disabled', 'true')
    void result.finally(() => element.removeAttribute('aria-disabled'))
  })
  return element
}
