import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** The folder for downloaded programs: `NEBULAIO_CACHE_DIR`, else the user's cache folder. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  const own = env['NEBULAIO_CACHE_DIR']
  if (own) return own
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'nebulaio-proxy')
}

/**
 * The folder `name` (which carries a version) in the cache. If it isn't there, `install` fills an
 * empty folder, which then takes its place in one step: a failed or concurrent installation never
 * shows. What is installed must not depend on the folder's own path.
 */
export async function installOnce(
  name: string,
  install: (folder: string) => Promise<void>,
): Promise<string> {
  const cache = cacheFolder(process.env)
  const target = join(cache, name)
  if (existsSync(target)) return target
  await mkdir(cache, { recursive: true })
  const draft = await mkdtemp(join(cache, '.installing-'))
  try {
    await install(draft)
    await rename(draft, target)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    // Another process was faster, and its folder is as good as this one.
    if (existsSync(target)) return target
    throw error
  }
  return target
}
