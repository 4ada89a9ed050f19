import { describeKeyProvider } from './conformance.ts'
import { makeLocalFolder } from './local-folder.ts'

describeKeyProvider('local', async () => {
  const folder = await makeLocalFolder()
  const provider = await folder.open()
  const kek = 'nebulaio-master'
  return {
    provider,
    kek,
    missingKek: 'no-such-key',
    missingVersion: '7',
    reopen: () => folder.open(),
    async rotate() {
      await provider.rotate(kek)
    },
    async disable() {
      const path = await folder.keyFile()
      await folder.edit(path, (text) => text.replace('"ENABLED"', '"DISABLED"'))
    },
    async cleanUp() {
      await provider.close()
      await folder.remove()
    },
  }
})
