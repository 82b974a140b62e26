export function session(Implementation: new (url: string) => object, url: string): Promise<object>;
