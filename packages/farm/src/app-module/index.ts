export { defaultExport, importAppModule } from './app-module.ts';
export { isTypeScript } from './typescript.ts';
