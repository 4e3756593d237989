// What the tensor library computes on a card in many passes, in one. Numbers are widened to f32, and rounded once.

typedef unsigned int u32;

#define INFINITY __int_as_float(0x7f800000)

struct bf16 { unsigned short bits; };
struct f16 { unsigned short bits; };

__device__ float wide(float x) { return x; }
__device__ float wide(bf16 x) { return __uint_as_float(u32(x.bits) << 16); }
__device__ float wide(f16 x) {
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
}

__device__ void put(float &to, float x) { to = x; }
__device__ void put(bf16 &to, float x) {
    u32 bits = __float_as_uint(x);
    // To the nearest, ties to even; adding to a NaN might make it a number.
    to.bits = x == x ? (bits + 0x7fff + (bits >> 16 & 1)) >> 16 : 0x7fff;
}
__device__ void put(f16 &to, float x) { asm("cvt.rn.f16.f32 %0, %1;" : "=h"(to.bits) : "f"(x)); }

struct Max {
    __device__ static float of(float a, float b) { return fmaxf(a, b); }
};
struct Sum {
    __device__ static float of(float a, float b) { return a + b; }
};

// Over all threads of a block of whole warps; every thread gets the result.
template <class Op>
__device__ float reduce(float x, float of_nothing) {
    __shared__ float of_warps[32];
    for (u32 lane = 16; lane > 0; lane /= 2) x = Op::of(x, __shfl_xor_sync(~0u, x, lane));
    __syncthreads();
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = x;
    __syncthreads();
    x = threadIdx.x % 32 < blockDim.x / 32 ? of_warps[threadIdx.x % 32] : of_nothing;
    for (u32 lane = 16; lane > 0; lane /= 2) x = Op::of(x, __shfl_xor_sync(~0u, x, lane));
    return x;
}

// One block per row of scores. Rows of one batch item follow each other, its queries fastest; `visible` holds prefix,
// start and end for every query of every item, or is null if all keys are visible.
template <class T>
__device__ void masked_softmax(const T *scores, T *out, const u32 *visible, u32 n_keys, u32 rows_per_item, u32 n_queries) {
    u32 row = blockIdx.x;
    u32 prefix = n_keys, start = 0, end = 0;
    if (visible) {
        const u32 *own = visible + 3 * (row / rows_per_item * n_queries + row % n_queries);
        prefix = own[0], start = own[1], end = own[2];
    }
    auto sees = [&](u32 key) { return key < prefix || (key >= start && key < end); };
    scores += size_t(row) * n_keys;
    out += size_t(row) * n_keys;
    float max = -INFINITY;
    for (u32 key = threadIdx.x; key < n_keys; key += blockDim.x) {
        if (sees(key)) max = fmaxf(max, wide(scores[key]));
    }
    max = reduce<Max>(max, -INFINITY);
    float sum = 0;
    for (u32 key = threadIdx.x; key < n_keys; key += blockDim.x) {
        if (sees(key)) sum += expf(wide(scores[key]) - max);
    }
    sum = reduce<Sum>(sum, 0);
    for (u32 key = threadIdx.x; key < n_keys; key += blockDim.x) {
        put(out[key], sees(key) ? expf(wide(scores[key]) - max) / sum : 0);
    }
}

template <class T>
__device__ void add_to_rows(const T *x, const T *row, T *out, u32 n, u32 width) {
    u32 stride = gridDim.x * blockDim.x;
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {
        put(out[i], wide(x[i]) + wide(row[i % width]));
    }
}

#define FOR_TYPE(T, name)                                                                                            \
    extern "C" __global__ void masked_softmax_##name(                                                                \
        const T *scores, T *out, const u32 *visible, u32 n_keys, u32 rows_per_item, u32 n_queries) {                 \
        masked_softmax(scores, out, visible, n_keys, rows_per_item, n_queries);                                      \
    }                                                                                                                \
    extern "C" __global__ void add_to_rows_##name(const T *x, const T *row, T *out, u32 n, u32 width) {              \
        add_to_rows(x, row, out, n, width);                                                                          \
    }

FOR_TYPE(float, f32)
FOR_TYPE(bf16, bf16)
FOR_TYPE(f16, f16)
