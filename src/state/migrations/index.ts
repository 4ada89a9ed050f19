import { uploadsAndLayouts } from './0001-uploads-and-layouts.ts'
import type { Migration } from './migration.ts'

/** All migrations, oldest first. */
export const migrations: readonly Migration[] = [uploadsAndLayouts]
