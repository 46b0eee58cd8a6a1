"""Does the suite notice a broken backward pass? Break one line at a time, and see that its tests fail.

Each mutation is applied to a copy of the package, and the tests run there in a process of their own, with Numba's
compiler switched off: the same Python code, without waiting for machine code. The original text must occur exactly
once, so a mutation whose line was rewritten fails loudly instead of testing nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VECTORS = "tests/unit/test_vectors.py"
GRAPHS = "tests/unit/test_graph_model.py::"
WINOGRAD = "tests/unit/ops/conv2d/test_winograd.py::"
STRIDE_2 = WINOGRAD + "test_tiles_that_hang_over_the_border[same-winograd_stride_2]"
PREPARED = "tests/unit/ops/conv2d/test_prepared.py::"
PLANS = "tests/unit/test_prediction.py::test_every_change_is_seen"
KEPT_CALL = PREPARED + "test_a_call_is_kept_until_something_changes[direct]"
FINISHING = "tests/unit/ops/test_finishing.py::"
STRIDED_DX = "tests/unit/ops/conv2d/test_direct_dx.py::test_together_is_the_definition"
KERAS_CALLS = "tests/unit/io/test_keras_networks.py::test_ways_to_count_calls"
PASSES = "tests/unit/test_passes.py::"
TESTS_FAILED = 1  # pytest's exit code; 2 to 5 mean that it could not run them
# The first failure is enough, and the first example of it.
QUICKLY = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=any_failure"]


@dataclass(frozen=True)
class Mutation:
    """In ``file``, ``original`` becomes ``mutated``; then ``tests`` must fail."""

    name: str
    file: str
    original: str
    mutated: str
    tests: str = VECTORS


def convolution(name: str, file: str, original: str, mutated: str, tests: str = VECTORS) -> Mutation:
    return Mutation(f"convolution, {name}", f"minicnn/ops/conv2d/{file}.py", original, mutated, tests)


MUTATIONS = [
    Mutation(
        "windows: same padding puts the odd zero before",
        "minicnn/shapes.py",
        "return total // 2, total - total // 2",
        "return total - total // 2, total // 2",
    ),
    convolution(
        "winograd: dx with a kernel that is not turned",
        "winograd_kernels",
        "at = (taps * taps - 1 - tap) * C * F",
        "at = tap * C * F",
    ),
    convolution("winograd: dx shifted", "winograd", "(top // stride - reach, left", "(top // stride - reach + 1, left"),
    convolution(
        "winograd: at a stride, padding shifts dx by whole strides only",
        "winograd",
        "(-(top % stride), -(left % stride))",
        "(0, 0)",
        STRIDE_2,
    ),
    convolution(
        "a call is kept although somebody wrote to the kernel",
        "prepared",
        "return self.words is not None and self.same_kind() and _sums_of(*self.words) == self.fingerprint[2:]",
        "return self.words is not None",
        KEPT_CALL,
    ),
    convolution(
        "patterns of equal numbers that cancel are not told apart",
        "prepared",
        "c = c + (b >> half) * (b & lower)",
        "c = c & b",
        PREPARED + "test_one_filter_or_row_of_a_basis_with_its_sign_turned_counts[cosines-float32]",
    ),
    convolution(
        "a kernel is prepared as it is written to",
        "prepared",
        "own = kernel.copy()",
        "own = kernel",
        PREPARED + "test_what_is_written_while_a_kernel_is_prepared_is_in_neither_half",
    ),
    convolution(
        "a call is kept although an array is another one",
        "prepared",
        "ready.options == options and all(map(operator.is_, ready.arrays, arrays)) and",
        "ready.options == options and",
        KEPT_CALL,
    ),
    convolution(
        "a call is kept although an option is another one",
        "prepared",
        "ready.options == options and all(",
        "all(",
        KEPT_CALL,
    ),
    Mutation(
        "a plan is followed although somebody wrote to a kernel",
        "minicnn/prediction.py",
        "return self.layers.holds() and self.watch.unchanged()",
        "return self.layers.holds()",
        PLANS + "[a number of conv/kernel]",
    ),
    Mutation(
        "a plan is followed although a layer has other options",
        "minicnn/layers/snapshot.py",
        "all(map(operator.is_, options, self.options))",
        "True",
        PLANS + "[another padding]",
    ),
    Mutation(
        "a plan is followed although a layer got a method of its own",
        "minicnn/layers/snapshot.py",
        "            and list(map(len, map(vars, layers))) == self.sizes\n",
        "",
        PLANS + "[a method of somebody's own in the last layer]",
    ),
    Mutation(
        "a plan is followed although a dense layer got another kind of array",
        "minicnn/layers/snapshot.py",
        "except (KeyError, AttributeError):",
        "except KeyError:",
        PLANS + "[a dense bias that is no array]",
    ),
    Mutation(
        "a plan is followed although a class got a method of somebody's own",
        "minicnn/layers/snapshot.py",
        "            and list(map(_methods, self.distinct)) == self.methods\n",
        "",
        "tests/unit/test_prediction.py::test_methods_that_are_exchanged_are_seen",
    ),
    Mutation(
        "a plan is followed although an array lies in another way",
        "minicnn/layers/snapshot.py",
        "            and list(map(how_it_lies, arrays)) == self.lie\n",
        "",
        "tests/unit/test_prediction.py::test_arrays_that_are_read_in_another_order_in_place_are_seen",
    ),
    Mutation(
        "a plan is followed although a small array has other numbers",
        "minicnn/ops/conv2d/prepared.py",
        "range(part, len(pairs), PARTS)",
        "range(part, len(pairs) - 1, PARTS)",
        PLANS + "[a number of norm/moving_variance]",
    ),
    Mutation(
        "what comes out of a prediction lies in the memory of the next one",
        "minicnn/prediction.py",
        "seen = set(outputs)",
        "seen: set[int] = set()",
        "tests/unit/test_prediction.py::test_no_prediction_writes_to_what_came_out_of_another",
    ),
    Mutation(
        "a view that comes out of a prediction lies in the memory of the next one",
        "minicnn/prediction.py",
        "if ready is None or (ready.is_view and step.value in seen):",
        "if ready is None:",
        "tests/unit/test_prediction.py::test_no_prediction_writes_to_what_came_out_of_another",
    ),
    Mutation(
        "what a layer that is not ready returns lies in the memory of the next prediction",
        "minicnn/prediction.py",
        "if ready is None or (ready.is_view and step.value in seen):",
        "if ready is not None and ready.is_view and step.value in seen:",
        "tests/unit/test_prediction.py::test_no_prediction_writes_to_what_came_out_of_another",
    ),
    Mutation(
        "a plan is followed although an array has another name",
        "minicnn/layers/snapshot.py",
        "            and [*chain.from_iterable(dicts)] == self.keys\n",
        "",
        PLANS + "[a bias under another name]",
    ),
    Mutation(
        "a plan is followed although a step made something of another kind",
        "minicnn/prediction.py",
        "if makes is not None and Kind.of(y) != makes:",
        "if False:",
        "tests/unit/test_prediction.py::test_a_function_that_is_exchanged_may_make_another_kind",
    ),
    Mutation(
        "a prediction within a prediction uses the same memory",
        "minicnn/prediction.py",
        "self.place == place and self.busy.acquire(blocking=False)",
        "self.place == place",
        "tests/unit/test_prediction.py::test_a_prediction_within_a_prediction_has_other_memory",
    ),
    Mutation(
        "numbers are copied after something was computed from them",
        "minicnn/fusion.py",
        "        finish = self._finish()  # after the copies",
        "        finish, numbers = self._finish(), tuple((a, a.copy()) for a, _ in numbers)  # before the copies",
        "tests/unit/test_prediction.py::test_what_is_written_while_a_plan_is_made_is_not_passed_over",
    ),
    Mutation(
        "threads that share a core: the calling one is bound",
        "minicnn/ops/apart.py",
        "        if thread == caller:\n            continue\n",
        "",
        "tests/unit/ops/test_apart.py::test_only_who_shares_a_core_without_need_is_bound",
    ),
    Mutation(
        "threads that share a core: two are sent to one core",
        "minicnn/ops/apart.py",
        "                    cores.add(min(free))  # the next one gets another\n",
        "",
        "tests/unit/ops/test_apart.py::test_only_who_shares_a_core_without_need_is_bound",
    ),
    Mutation(
        "threads that share a core: sent to where others are",
        "minicnn/ops/apart.py",
        "free = before - cores",
        "free = before - {core}",
        "tests/unit/ops/test_apart.py::test_only_who_shares_a_core_without_need_is_bound",
    ),
    Mutation(
        "a plan stays where nobody predicts any more",
        "minicnn/prediction.py",
        "if held.has_moved():",
        "if False:",
        "tests/unit/test_prediction.py::test_a_plan_is_made_anew_where_it_is_needed",
    ),
    Mutation(
        "a plan is followed although an array of a dense layer has another name",
        "minicnn/layers/snapshot.py",
        "            and [*chain.from_iterable(dicts)] == self.keys\n",
        "",
        PLANS + "[a bias of a dense layer under another name]",
    ),
    Mutation(
        "a plan is followed although an array is in another dict",
        "minicnn/layers/snapshot.py",
        "            and list(map(len, dicts)) == self.lengths\n",
        "",
        PLANS + "[a bias in another dict]",
    ),
    Mutation(
        "a plan is run by a thread that did not make it",
        "minicnn/prediction.py",
        "here = self.place == place and",
        "here = self.place[1] == place[1] and",
        "tests/unit/test_prediction.py::test_a_plan_is_followed_step_by_step_by_a_thread_that_did_not_make_it",
    ),
    convolution(
        "winograd: tiles that hang over a border lose their first row",
        "winograd_tiles",
        "for i in range(first_row, end_row):",
        "for i in range(1, end_row):",
        STRIDE_2,
    ),
    convolution(
        "winograd: of each window to be pooled, one row of pixels twice",
        "winograd_tiles",
        "halve_window(square, at, m * F, F",
        "halve_window(square, at, 0, F",
        FINISHING + "test_a_convolution_finishes_as_if_it_were_done_afterwards[winograd_2x2]",
    ),
    convolution(
        "winograd: of each window to be normalised and pooled, one row of pixels twice",
        "winograd_tiles",
        "normalise_and_halve(square, at, m * F, F",
        "normalise_and_halve(square, at, 0, F",
        FINISHING + "test_a_convolution_finishes_as_if_it_were_done_afterwards[winograd_2x2]",
    ),
    convolution(
        "direct: results normalised one row too low",
        "direct_rows",
        "at = (n * H + h0 + i) * width + w0",
        "at = (n * H + h0 + i + 1) * width + w0",
        FINISHING + "test_a_convolution_finishes_as_if_it_were_done_afterwards[direct]",
    ),
    convolution(
        "winograd: the outer taps of a stride exchanged in dx",
        "winograd_matrices",
        "g[rows, own % stride :: stride] = phase.A, phase.G",
        "g[rows, own % stride :: stride] = phase.A, phase.G[:, ::-1]",
        WINOGRAD + "test_gradients_of_the_input_at_a_stride",
    ),
    convolution(
        "winograd: at (z, w) what belongs to (z, conj w)",
        "winograd_transforms",
        "ii: -sign * of_re, ri: sign * of_im",
        "ii: sign * of_re, ri: sign * of_im",
        WINOGRAD + "test_the_transforms_in_use_convolve",
    ),
    convolution(
        "winograd: real and imaginary columns of a pair exchanged on the way back",
        "winograd_transforms",
        "i * VALUES[form] + part for part in (0, 1)",
        "i * VALUES[form] + part for part in (1, 0)",
    ),
    convolution(
        "winograd: only the last group of a kernel gradient's tiles counts",
        "winograd_gradient",
        "sums, totals, held == end)",
        "sums, totals, True)",
        WINOGRAD + "test_all_groups_of_tiles_count",
    ),
    convolution(
        "direct: dx with the kernel upside down",
        "direct_dx",
        "_turned(kernel[taps][::-1, ::-1], groups)",
        "_turned(kernel[taps], groups)",
    ),
    convolution(
        "direct: stride ignored in dx",
        "direct_dx",
        "first_h, first_w, stride_h, stride_w, start_h",
        "first_h, first_w, stride_h, 1, start_h",
        STRIDED_DX,
    ),
    convolution(
        "direct: phases of dx, computed together, exchanged",
        "direct_dx",
        "split.transpose(0, 2, 5, 1, 3, 4)",
        "split[:, ::-1].transpose(0, 2, 5, 1, 3, 4)",
        STRIDED_DX,
    ),
    convolution(
        "direct: taps of dkernel exchanged",
        "direct_gradient",
        "taps[g * per_group + tap] + r, own",
        "taps[(g + 1) * per_group - 1 - tap] + r, own",
    ),
    convolution(
        "direct: rows of dkernel in reverse",
        "direct_gradient",
        "dkernel[tap * rows + r + i, g, p * W + c] =",
        "dkernel[len(dkernel) - 1 - (tap * rows + r + i), g, p * W + c] =",
    ),
    convolution(
        "im2col: taps of dx exchanged",
        "im2col",
        "+= dcolumns[:, :, kh, kw]",
        "+= dcolumns[:, :, size_h - 1 - kh, size_w - 1 - kw]",
    ),
    convolution("im2col: overlapping dx overwritten", "im2col", "[...] += dcolumns", "[...] = dcolumns"),
    convolution(
        "im2col: dx cut out at the wrong place",
        "im2col",
        "dpadded[:, top : top + height",
        "dpadded[:, bottom : bottom + height",
    ),
    convolution(
        "im2col: every group feeds the first filters",
        "im2col",
        "slice(g * per_group, (g + 1) * per_group)",
        "slice(0, per_group)",
    ),
    convolution(
        "loops: dkernel from a neighbouring pixel",
        "loops",
        "float(dy[n, oh, ow, f]) * float(x[n, ih, iw, c])",
        "float(dy[n, oh, ow, f]) * float(x[n, ih, iw - 1, c])",
    ),
    convolution("dbias of the first picture alone", "__init__", "column_sums(dy)", "column_sums(dy[:1])"),
    convolution("dbias forgets a column", "__init__", "column_sums(dy)", "column_sums(dy[:, :, 1:].copy())"),
    Mutation(
        "depthwise: kernel gradient in the wrong order",
        "minicnn/ops/depthwise_conv2d.py",
        "grouped.reshape(size_h, size_w, cache.groups, filters // cache.groups)",
        "grouped.reshape(size_h, size_w, filters // cache.groups, cache.groups).swapaxes(2, 3)",
    ),
    Mutation(
        "depthwise: dx with neighbouring taps exchanged",
        "minicnn/ops/depthwise_taps.py",
        "own[1] - own[0] if",
        "1 if",
        "tests/unit/ops/test_depthwise_conv2d.py::test_every_channel_is_a_convolution_of_its_own",
    ),
    Mutation(
        "depthwise: the kernel gradient forgets the edges",
        "minicnn/ops/depthwise_row_gradient.py",
        "min(end, results + q)",
        "min(end, results)",
        "tests/unit/ops/test_depthwise_conv2d.py::test_every_channel_is_a_convolution_of_its_own",
    ),
    Mutation(
        "depthwise: long rows of the kernel gradient begin again and again",
        "minicnn/ops/depthwise_gradient.py",
        "(first - run[FIRST]) * step",
        "0 * step",
        "tests/unit/ops/test_depthwise_conv2d.py::test_own_loops_equal_the_definition",
    ),
    Mutation(
        "depthwise: rows of the kernel gradient that meet other taps",
        "minicnn/ops/depthwise_gradient.py",
        "    return alike",
        "    return most",
        "tests/unit/ops/test_depthwise_conv2d.py::test_every_channel_is_a_convolution_of_its_own",
    ),
    Mutation(
        "depthwise: the second piece of a kernel begins with the bias",
        "minicnn/ops/depthwise_loops.py",
        "begin, begin_step = pointer(result, at), phases * C",
        "begin_step = phases * 0 + 1",
        "tests/unit/ops/test_depthwise_conv2d.py::test_every_channel_is_a_convolution_of_its_own",
    ),
    Mutation(
        "depthwise: padding is where pixels are",
        "minicnn/ops/depthwise_taps.py",
        "first = max(0, -(place // step))",
        "first = 0",
        "tests/unit/ops/test_depthwise_taps.py::test_runs_are_the_definition",
    ),
    Mutation(
        "max pooling: the last of equals wins",
        "minicnn/ops/max_pooling.py",
        "(value <= best) |",
        "(value < best) |",
    ),
    Mutation(
        "max pooling: every tap gets the gradient",
        "minicnn/ops/max_pooling.py",
        "select(came_from_here, load(dy, at, C - c), zero)",
        "load(dy, at, C - c)",
    ),
    Mutation(
        "max pooling: windows of 2x2 send the gradient to the wrong corner",
        "minicnn/ops/max_pooling.py",
        "upper + into + C, select(winner == splat(np.uint8(1)",
        "upper + into + C, select(winner == splat(np.uint8(2)",
        "tests/unit/ops/test_pooling.py::test_who_wins_a_window",
    ),
    Mutation(
        "average pooling: padding is counted",
        "minicnn/ops/average_pooling.py",
        "rows = min(picture[0], h0 + size[0]) - max(0, h0)",
        "rows = size[0]",
    ),
    Mutation(
        "average pooling: of 2x2 windows, the last pixel is the third once more",
        "minicnn/ops/average_pooling.py",
        "widen(load(x, first + row + C, left))",
        "widen(load(x, first + row, left))",
        "tests/unit/ops/test_pooling.py",
    ),
    Mutation(
        "global average pooling: pixels that fill no row are forgotten",
        "minicnn/ops/global_pooling_loops.py",
        "range(pixels - pixels % (columns // C), pixels)",
        "range(pixels, pixels)",
        "tests/unit/ops/test_global_pooling.py::test_forward_is_the_mean_and_the_maximum_of_every_channel",
    ),
    Mutation(
        "global max pooling: ties in other blocks are not counted",
        "minicnn/ops/global_pooling_loops.py",
        "select(value == best, count + times,",
        "select(value == best, times,",
        "tests/unit/ops/test_global_pooling.py::test_the_maximum_shares_its_gradient_evenly",
    ),
    Mutation(
        "relu: the gradient passes at 0",
        "minicnn/ops/activation_loops.py",
        "select(zero < load(y, beside + i, left)",
        "select(zero <= load(y, beside + i, left)",
        "tests/unit/ops/test_activations.py::test_both_passes_follow_the_formula",
    ),
    Mutation(
        "elu: made ready with the alpha of every other one",
        "minicnn/layers/activations.py",
        "x.dtype.type(self.alpha)",
        "x.dtype.type(1)",
        "tests/unit/test_prediction.py::test_options_of_ready_layers_are_those_of_now",
    ),
    Mutation(
        "sigmoid: its distance from 1 is that of the other side",
        "minicnn/ops/logistic.py",
        "select(zero <= x, small, one) / whole",
        "select(zero <= x, one, small) / whole",
        "tests/unit/ops/test_activations.py::test_curves_are_their_formulas[silu]",
    ),
    Mutation(
        "gelu: what was cut off the square is lost",
        "minicnn/ops/exponential.py",
        "    r = r + rest\n",
        "    r = r + splat(0.0, x)\n",
        "tests/unit/ops/test_normal.py::test_float64_against_as_many_digits_as_it_takes",
    ),
    Mutation(
        "softplus: a late term of its series is missing",
        "minicnn/ops/logistic.py",
        "splat(1 / 19, x) * z + splat(1 / 17, x)",
        "splat(1 / 19, x) * z",
        "tests/unit/ops/test_logistic.py::test_float64_is_a_few_last_places_off_at_most",
    ),
    Mutation(
        "softmax: its outputs do not compete",
        "minicnn/ops/softmax_loops.py",
        "probability * ((gradient - shift) - mean)",
        "probability * (gradient - shift) * (splat(1.0, shift) - probability)",
        "tests/unit/ops/test_activations.py::test_softmax_of_every_size",
    ),
    Mutation(
        "exponential: 1 is subtracted at the end, and the digits of small numbers with it",
        "minicnn/ops/exponential.py",
        "_sum(power - one, r * power, more * power)",
        "_sum(power, r * power, more * power) - one",
        "tests/unit/ops/test_exponential.py::test_expm1_is_at_most_one_last_place_off",
    ),
    Mutation(
        "layer normalisation: what is left of a vector counts as distance from the mean",
        "minicnn/ops/layer_norm_loops.py",
        "if left < lanes(x):",
        "if left < 0:",
        "tests/unit/ops/test_normalizations.py::test_layer_norm_is_its_formula[-1-float32-3]",
    ),
    Mutation(
        "layer normalisation: the gradients of gamma and beta change places",
        "minicnn/ops/layer_norm_loops.py",
        "2 * block * K + k, (2 * block + 1) * K + k",
        "(2 * block + 1) * K + k, 2 * block * K + k",
        "tests/unit/ops/test_normalizations.py::test_layer_norm_is_its_formula[-1-float32-1]",
    ),
    Mutation(
        "batch normalisation: the mean's part in dx is forgotten",
        "minicnn/ops/batch_norm.py",
        "load(dy, at, left) - load(offset, c, left) - common",
        "load(dy, at, left) - common",
        "tests/unit/ops/test_batch_norm.py::test_both_passes_equal_the_loops",
    ),
    Mutation(
        "batch normalisation: blocks have no distance from each other",
        "minicnn/ops/moments.py",
        "partial[block, 1, column] + size * distance * distance",
        "partial[block, 1, column]",
        "tests/unit/ops/test_batch_norm.py::test_both_passes_equal_the_loops",
    ),
    Mutation(
        "batch normalisation: momentum weighs the new statistics",
        "minicnn/layers/batch_norm.py",
        "old * self.momentum + seen[key] * (1 - self.momentum)",
        "old * (1 - self.momentum) + seen[key] * self.momentum",
        "tests/unit/ops/test_batch_norm.py::test_momentum_is_the_weight_of_the_old_statistics",
    ),
    Mutation(
        "cross-entropy: the gradient of a sum instead of a mean",
        "minicnn/losses.py",
        "share = (weights / losses.size).astype(",
        "share = weights.astype(",
        "tests/unit/test_losses.py::test_gradient_is_the_measured_slope",
    ),
    Mutation(
        "dense: dkernel loses its last row of x",
        "minicnn/ops/gradients.py",
        "min(TERMS, N - n),",
        "max(1, min(TERMS, N - n) - 1),",
        "tests/unit/ops/test_dense.py::test_forward_equals_the_loops_and_backward_is_its_adjoint",
    ),
    Mutation(
        "adam: epsilon inside the root",
        "minicnn/optimizers/adam.py",
        "(np.sqrt(v) + self.epsilon)",
        "np.sqrt(v + self.epsilon)",
    ),
    Mutation(
        "networks: shared layers keep only the last gradient",
        "minicnn/passes.py",
        "gradients[address] + gradient if address in gradients else gradient",
        "gradient",
        "tests/unit/test_sequential.py::test_a_shared_layer_adds_up_its_gradients",
    ),
    Mutation(
        "networks: where ways part, only one gradient comes back",
        "minicnn/passes.py",
        "arrived.setdefault(source, []).append(part)",
        "arrived[source] = [part]",
        GRAPHS + "test_gradients_are_the_measured_ones[inference]",
    ),
    Mutation(
        "networks: a value goes with its first reader",
        "minicnn/fusion.py",
        "if left[source] == 0]",
        "if left[source] >= 0]",
        GRAPHS + "test_values_are_let_go_of_after_their_last_reader",
    ),
    Mutation(
        "normalising: the mean is left where it is",
        "minicnn/ops/normalising.py",
        "(value - mean) * scale + shift",
        "value * scale + shift",
        "tests/unit/ops/test_normalising.py::test_every_channel_has_its_own_factors",
    ),
    Mutation(
        "normalising: of four pixels, the last is left out",
        "minicnn/ops/normalising.py",
        "        best = select(remains(best, value3), best, value3)\n",
        "",
        "tests/unit/ops/test_normalising.py::test_halving_on_the_way_is_halving_afterwards",
    ),
    Mutation(
        "fusion: a ReLU that others read too is spared its backward pass",
        "minicnn/fusion.py",
        "if place < 0 or graph.readers[source] > 1:",
        "if place < 0:",
        "tests/unit/test_fusion.py::test_a_relu_that_others_read_has_a_backward_pass_of_its_own",
    ),
    convolution(
        "dx passes through the ReLU before it where that made a 0",
        "winograd_tiles",
        "gate_numbers(found, at * F, gate, into * F, found",
        "gate_numbers(found, at * F, gate, at * F, found",
        "tests/unit/ops/conv2d/test_direct.py::test_dx_through_a_relu_has_the_bits_of_two_passes",
    ),
    Mutation(
        "networks: a convolution takes the work of every pooling layer behind it",
        "minicnn/fusion.py",
        "and layer.window == HALVING and takes_more",
        "and takes_more",
        "tests/unit/test_fusion.py::test_what_goes_together_in_a_prediction",
    ),
    Mutation(
        "networks: a relu takes a value from its other readers",
        "minicnn/fusion.py",
        " and graph.readers[source] == 1",
        "",
        GRAPHS + "test_a_relu_is_computed_with_the_layer_before_it_only_if_nobody_else_reads_that",
    ),
    Mutation(
        "sums: what is repeated gets one of its gradients",
        "minicnn/ops/merging.py",
        "dy.sum(axis=axes, keepdims=True, dtype=np.float64)",
        "dy.mean(axis=axes, keepdims=True, dtype=np.float64)",
        "tests/unit/ops/test_merging.py::test_missing_axes_stand_behind_the_batch",
    ),
    Mutation(
        "products: every factor gets dy times itself",
        "minicnn/ops/merging.py",
        "if i != place]",
        "if i == place]",
        "tests/unit/ops/test_merging.py::test_missing_axes_stand_behind_the_batch",
    ),
    Mutation(
        "products of two: a factor gets dy times itself",
        "minicnn/ops/merging_loops.py",
        "store(db, i, gradient * load(a, i, left), left)",
        "store(db, i, gradient * load(b, i, left), left)",
        "tests/unit/ops/test_merging.py::test_two_of_one_shape_are_multiplied_in_one_pass",
    ),
    Mutation(
        "concatenation: the second block of a long row is the first one again",
        "minicnn/ops/merging_loops.py",
        "copy(a, row * first + done,",
        "copy(a, row * first,",
        "tests/unit/ops/test_merging.py::test_long_rows_and_arrays_that_are_not_contiguous[1]",
    ),
    Mutation(
        "transposed convolution: rows of dkernel in reverse",
        "minicnn/ops/conv2d_transpose.py",
        "algorithm.kernel_gradient(x, dy, kernel.shape, window, 1)",
        "algorithm.kernel_gradient(x, dy, kernel.shape, window, 1)[::-1]",
        "tests/unit/ops/test_conv2d_transpose.py::test_its_gradients_are_those_of_the_stamps",
    ),
    Mutation(
        "up-sampling: what was read beyond the border is lost",
        "minicnn/ops/up_sampling.py",
        "shares[0, :factor] = shares[-1, factor:] = 1",
        "shares[0, :factor] = 1",
        "tests/unit/ops/test_reshaping_and_up_sampling.py::test_enlarged_pictures_and_gradients_are_the_definition",
    ),
    Mutation(
        "up-sampling: the first row of a gap is taken twice",
        "minicnn/ops/up_sampling_loops.py",
        "load(blended, min(w + 1, W - 1) * C + c, left)",
        "load(blended, max(w, 0) * C + c, left)",
        "tests/unit/ops/test_reshaping_and_up_sampling.py::test_enlarged_pictures_and_gradients_are_the_definition",
    ),
    Mutation(
        "local response normalisation: neighbours on one side",
        "minicnn/ops/local_response_normalization.py",
        "total[..., :-distance] += values[..., distance:]",
        "pass",
        "tests/unit/ops/test_normalizations.py::test_local_response_normalization_is_its_formula",
    ),
    Mutation(
        "workspaces: whoever comes between works in the same memory",
        "minicnn/ops/memory.py",
        "_workspaces.__dict__.pop(purpose, _NO_BYTES)",
        "_workspaces.__dict__.get(purpose, _NO_BYTES)",
        "tests/unit/ops/test_memory.py::test_a_workspace_within_another_has_other_memory_and_the_larger_one_is_kept",
    ),
    Mutation(
        "turns: 13 tiles where 12 are fewer register tiles",
        "minicnn/ops/conv2d/winograd_plan.py",
        "(whole if waiting * WORTH <= total else even)",
        "even",
        "tests/unit/ops/conv2d/test_winograd_plan.py"
        "::test_many_turns_take_whole_register_tiles_if_no_core_waits_for_it[2888-12]",
    ),
    Mutation(
        "convolution: a frozen kernel is prepared in every step",
        "minicnn/layers/conv2d.py",
        "learns = context.training and self.trainable",
        "learns = context.training",
        PREPARED + "test_a_frozen_kernel_stays_prepared_while_others_are_trained[direct]",
    ),
    Mutation(
        "batch normalisation: a frozen layer reads x backward",
        "minicnn/ops/batch_norm.py",
        "if not (batch_statistics or parameter_gradients):",
        "if False:",
        "tests/unit/ops/test_batch_norm.py::test_a_frozen_layer_does_not_read_x_backward",
    ),
    Mutation(
        "training: the gradients of the step before stay in memory",
        "minicnn/training.py",
        "del step  #",
        "pass  #",
        "tests/unit/test_training.py::test_the_gradients_of_a_step_are_gone_when_the_next_begins",
    ),
    Mutation(
        "optimisers: another kind's state is taken over",
        "minicnn/optimizers/base.py",
        "if writer != own:",
        "if False:",
        "tests/unit/test_optimizers.py::test_state_that_lacks_what_this_optimizer_remembers",
    ),
    Mutation(
        "predictions: plans are looked through while somebody adds one",
        "minicnn/prediction.py",
        "threading.RLock()",
        "threading.Lock()",
        "tests/unit/test_prediction.py::test_what_is_found_changes_under_a_lock",
    ),
    Mutation(
        "training: a normalisation whose statistics move is taken for a prediction's",
        "minicnn/passes.py",
        "(type(layer) is BatchNormalization and not layer.trainable)",
        "type(layer) is BatchNormalization",
        PASSES + "test_a_step_that_remembers_less_has_the_same_gradients[statistics_learn]",
    ),
    Mutation(
        "training: a layer with a method of somebody's own is taken for a prediction's",
        "minicnn/passes.py",
        "and as_written(layer)):",
        "):",
        PASSES + "test_layers_of_ones_own_are_asked_in_training[method]",
    ),
    Mutation(
        "Keras's files: what models within models make for the outside is counted as what layers read",
        "minicnn/io/keras_rows.py",
        'int(layer.row.class_name != "Sequential")',
        "0",
        KERAS_CALLS + "[Keras 3, a Functional]",
    ),
    Mutation(
        "Keras's files: calls of models within models are counted from 0 in Keras 2 too",
        "minicnn/io/keras_rows.py",
        "int((name, len(layer.given)) in read)",
        "0",
        KERAS_CALLS + "[Keras 2, a Functional]",
    ),
    Mutation(
        "Keras's files: a model called twice is its layers called once",
        "minicnn/io/keras_networks.py",
        "return made, call * count + made_by",
        "return made, made_by",
        KERAS_CALLS + "[Keras 3, a Functional]",
    ),
]


def copy_of_the_project(folder: Path) -> Path:
    """The package and its tests, without compiled files."""
    for name in ("minicnn", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def run(tests: list[str], project: Path) -> subprocess.CompletedProcess[str]:
    """pytest on ``tests`` inside ``project``, which must be the minicnn that is imported there."""
    variables = {"PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1", "NUMBA_DISABLE_JIT": "1"}
    check = "import minicnn, pathlib, sys; assert pathlib.Path(minicnn.__file__).is_relative_to(pathlib.Path.cwd())"
    command = f"{check}; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", command, *QUICKLY, *tests],
        cwd=project,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def attempt(mutation: Mutation, project: Path) -> subprocess.CompletedProcess[str]:
    """Apply the mutation to a copy and run its tests there."""
    source = copy_of_the_project(project) / mutation.file
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace(mutation.original, mutation.mutated), encoding="utf-8")
    try:
        return run([mutation.tests], project)
    finally:
        shutil.rmtree(project)


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[subprocess.CompletedProcess[str]]]]:
    """Every mutation on its way, as many at once as there are cores."""
    folder = tmp_path_factory.mktemp("mutations")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {m.name: pool.submit(attempt, m, folder / str(i)) for i, m in enumerate(MUTATIONS)}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_line_to_break_is_there_once(mutation: Mutation) -> None:
    text = (ROOT / mutation.file).read_text(encoding="utf-8")
    assert text.count(mutation.original) == 1
    assert mutation.mutated != mutation.original


@pytest.mark.slow
def test_unbroken_code_passes(tmp_path: Path) -> None:
    result = run(sorted({mutation.tests for mutation in MUTATIONS}), copy_of_the_project(tmp_path / "project"))
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_broken_line_is_noticed(
    mutation: Mutation, attempts: dict[str, Future[subprocess.CompletedProcess[str]]]
) -> None:
    result = attempts[mutation.name].result()
    assert result.returncode == TESTS_FAILED, result.stdout[-3000:] + result.stderr[-2000:]
