"""What a network computes: pure functions of arrays, one file per operation, no state.

Every operation comes as ``y, cache = op(x, ...)`` with ``op_backward(dy, cache)`` beside it. Read them in this order:

    flatten, padding, reshaping, merging        nothing is computed, or a sum: what forward and backward are
    dense                                       a product, and the two products of its gradients
    activations, curves, dropout                one formula for every number
    conv2d/loops, conv2d/im2col                 the definition, and the same as one matrix product
    pooling, max_pooling, average_pooling, global_pooling, up_sampling
    depthwise_conv2d, separable_conv2d, conv2d_transpose            conv2d in other forms
    batch_norm, layer_norm, unit_normalization, local_response_normalization
    losses (targets says what they are compared with), regression_losses, triplet   where the first gradient comes from

and then how it becomes fast, from the outside in:

    checks, memory, copying, rows               what every operation asks of its arrays; where these come from
    jit, turns, vectors, column_sums, moments   compiled loops, on one core or all, a vector at a time
    exponential, logistic, normal                                   functions of a vector of numbers
    normalising, activation_loops, curve_loops, softmax_loops, layer_norm_loops, merging_loops, global_pooling_loops,
    up_sampling_loops                                               one pass over memory each
    depthwise_taps, depthwise_loops, depthwise_row, depthwise_gradient, depthwise_row_gradient, depthwise_walk
    micro_kernel, gemm, dense_products, dense_loops, dense_blocks, gradients,
    tile_definition, conv2d/direct                                  the tile in registers that products are made of
    conv2d/winograd, simd, conv2d/prepared, conv2d/measured         fewer multiplications; kernels prepared once
    finishing, calls, activation_calls, addresses                   more in one pass; what need not be done twice
    tile_code, constant_product, vector_type, vector_code, exponent_code    LLVM's own language
    apart                                                           threads that share a core, separated
    jit_cache, jit_bytes, jit_files                                 compiled code on disk
"""
