/** Carries plain JSON values between the control process and one worker. */
export interface StateChannel {
  /** Never throws; a message to a peer that is gone is dropped, and onClose tells. */
  send(message: unknown): void
  /** Messages of others may come along too; each receiver picks its own. */
  onMessage(listener: (message: unknown) => void): void
  /** Called once, at once if the peer is gone already. */
  onClose(listener: () => void): void
}

/** What `process` in a worker and `worker.process` of node:cluster in the primary have in common. */
export interface IpcPeer {
  readonly connected: boolean
  send?(message: unknown, callback: (error: Error | null) => void): boolean
  on(event: 'message', listener: (message: unknown) => void): unknown
  once(event: 'disconnect', listener: () => void): unknown
}

/**
 * The channel over Node's IPC. Several may share one peer. A worker of node:cluster is ended by Node
 * itself when its primary goes.
 */
export function ipcChannel(peer: IpcPeer): StateChannel {
  return {
    send(message) {
      // Without a callback the error of a closed channel would end the process; `disconnect` tells too.
      if (peer.connected) peer.send?.(message, ignoreError)
    },
    onMessage(listener) {
      peer.on('message', listener)
    },
    onClose(listener) {
      if (peer.connected) peer.once('disconnect', listener)
      else listener()
    },
  }
}

function ignoreError(): void {}
