// The types of what the pages use of Preact and htm.

export interface VNode {
  type: unknown;
  props: Record<string, unknown>;
  key: unknown;
}
export type Child = VNode | string | number | bigint | boolean | null | undefined | Child[];

type Cleanup = void | (() => void);
type Update<T> = (value: T | ((previous: T) => T)) => void;

export function html(strings: TemplateStringsArray, ...values: unknown[]): VNode;
export function h(type: unknown, props: Record<string, unknown> | null, ...children: Child[]): VNode;
export function render(vnode: VNode | null, parent: Element): void;
export const Fragment: unknown;

export function useState<T>(initial: T | (() => T)): [T, Update<T>];
export function useRef<T>(initial: T): { current: T };
export function useEffect(effect: () => Cleanup, inputs?: readonly unknown[]): void;
export function useLayoutEffect(effect: () => Cleanup, inputs?: readonly unknown[]): void;
export function useMemo<T>(make: () => T, inputs: readonly unknown[]): T;
export function useCallback<F>(callback: F, inputs: readonly unknown[]): F;
export function useId(): string;
export function useErrorBoundary(): [unknown, () => void];
