/* geoengine.core.space._edges: how far positions are from the edges of polygons.

   A polygon's edges lie in the order of its rings, seven to a leaf, eight leaves to a branch, each
   with its box. A cell of the grid lists the leaves with edges that are nearest somewhere in it; of
   these, and without a cell of all, the nearest box is opened first, and none that is farther away
   than what was found. Inside or outside is told by the edges between a position and the middle of
   its cell, or those that a ray to the east crosses. What rounding could turn over is not decided
   here: the answer is then not a number, and whoever asks looks closer.

   With thousands of polygons a table is in no cache: time goes in waiting for memory, so what is
   read together lies together, and a batch asks for it some rows ahead.

   Tables belong to the caller, who does not write to them. They are checked once: sizes, and that
   none leads out of another. `edges.h` looks through all edges of a polygon, `measure.h` through
   those of a cell; `batch.h` finds the cells of positions, `raster.h` those of a polygon. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "batch.h"
#include "checks.h"
#include "raster.h"

typedef struct {
    PyObject_HEAD
    Py_buffer held[13];
    int held_count;
    Tables tables;
} Edges;

/* One array of the caller's, of rows of so many bytes; held as long as the edges are. */
static int view(Edges *edges, PyObject *array, Py_ssize_t item_bytes, const void *into,
                Py_ssize_t *items)
{
    Py_buffer *buffer = &edges->held[edges->held_count];
    if (PyObject_GetBuffer(array, buffer, PyBUF_C_CONTIGUOUS) < 0)
        return -1;
    edges->held_count++;
    if (buffer->len % item_bytes) {
        PyErr_Format(PyExc_ValueError, "table %d: not of %zd bytes a row", edges->held_count,
                     item_bytes);
        return -1;
    }
    *(const void **)into = buffer->buf;
    *items = buffer->len / item_bytes;
    return 0;
}

static int edges_init(Edges *edges, PyObject *args, PyObject *kwargs)
{
    Tables *own = &edges->tables;
    const char *fault = NULL;
    PyObject *of[6];
    Py_ssize_t leaves, boxes, branches, leaf_ends, branch_ends, planes;
    if (kwargs || edges->held_count) {
        PyErr_SetString(PyExc_TypeError, "Edges are made once, of positional arguments");
        return -1;
    }
    if (!PyArg_ParseTuple(args, "OOOOOO:Edges", &of[0], &of[1], &of[2], &of[3], &of[4], &of[5]))
        return -1;
    if (view(edges, of[0], sizeof(Leaf), &own->leaves, &leaves) < 0 ||
        view(edges, of[1], sizeof(Box), &own->leaf_boxes, &boxes) < 0 ||
        view(edges, of[2], sizeof(Box), &own->branch_boxes, &branches) < 0 ||
        view(edges, of[3], 4, &own->first_leaf, &leaf_ends) < 0 ||
        view(edges, of[4], 4, &own->first_branch, &branch_ends) < 0 ||
        view(edges, of[5], sizeof(Plane), &own->planes, &planes) < 0)
        return -1;
    if (leaves != boxes || leaf_ends != planes + 1 || branch_ends != planes + 1)
        fault = "tables of different sizes";
    own->polygon_count = planes;
    if (fault || (fault = fault_of_leaves(own, leaves, branches))) {
        own->polygon_count = 0;
        PyErr_SetString(PyExc_ValueError, fault);
        return -1;
    }
    return 0;
}

static void edges_dealloc(Edges *edges)
{
    while (edges->held_count)
        PyBuffer_Release(&edges->held[--edges->held_count]);
    Py_TYPE(edges)->tp_free((PyObject *)edges);
}

static int is_known(const Tables *own, int32_t ix)
{
    if (ix >= 0 && ix < own->polygon_count)
        return 1;
    PyErr_Format(PyExc_IndexError, "no polygon %d", ix);
    return 0;
}

/* Numbers, positions, and where the answers go: columns of one length. */
static int fill(const Tables *own, const Py_buffer columns[4])
{
    const int32_t *ix = columns[0].buf;
    const double *lon = columns[1].buf, *lat = columns[2].buf;
    double *out = columns[3].buf;
    Py_ssize_t count = columns[0].len / 4;
    if (columns[1].len != 8 * count || columns[2].len != 8 * count || columns[3].len != 8 * count) {
        PyErr_SetString(PyExc_ValueError, "columns of different lengths");
        return -1;
    }
    for (Py_ssize_t row = 0; row < count; row++)
        if (!is_known(own, ix[row]))
            return -1;
    Py_BEGIN_ALLOW_THREADS
    Measure measure;
    for (Py_ssize_t row = 0; row < count; row++) {
        begin(own, ix[row], lon[row], lat[row], -1, 0, &measure);
        out[row] = finish(own, ix[row], 0, &measure);
    }
    Py_END_ALLOW_THREADS
    return 0;
}

static PyObject *edges_measure(Edges *edges, PyObject *args)
{
    PyObject *of[4];
    Py_buffer columns[4];
    int held = 0, done = -1;
    if (!PyArg_ParseTuple(args, "OOOO:measure", &of[0], &of[1], &of[2], &of[3]))
        return NULL;
    for (; held < 4; held++) {
        int flags = PyBUF_C_CONTIGUOUS | (held == 3 ? PyBUF_WRITABLE : 0);
        if (PyObject_GetBuffer(of[held], &columns[held], flags) < 0)
            break;
    }
    if (held == 4)
        done = fill(&edges->tables, columns);
    while (held)
        PyBuffer_Release(&columns[--held]);
    if (done < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* Columns of what is inside: positions, polygons, distances; of what is unsure: positions, entries.
   Arrays of bytes, so that numpy may write into them. */
static PyObject *columns_of(const Batch *batch)
{
    const Found *found[2] = {&batch->inside, &batch->unsure};
    PyObject *made = PyTuple_New(5);
    for (int nth = 0; made && nth < 5; nth++) {
        const Found *of = found[nth / 3];
        const void *from = nth == 2 ? (void *)of->edge_m : nth % 3 ? (void *)of->ix : of->fix;
        PyObject *column = PyByteArray_FromStringAndSize(from, (nth % 3 == 1 ? 4 : 8) * of->count);
        if (column)
            PyTuple_SET_ITEM(made, nth, column);
        else
            Py_CLEAR(made);
    }
    return made;
}

static PyObject *edges_match(Edges *edges, PyObject *args)
{
    PyObject *lons, *lats, *made = NULL;
    Py_buffer lon, lat;
    if (!PyArg_ParseTuple(args, "OO:match", &lons, &lats) ||
        PyObject_GetBuffer(lons, &lon, PyBUF_C_CONTIGUOUS) < 0)
        return NULL;
    if (PyObject_GetBuffer(lats, &lat, PyBUF_C_CONTIGUOUS) < 0) {
        PyBuffer_Release(&lon);
        return NULL;
    }
    if (lon.len != lat.len || lon.len % 8) {
        PyErr_SetString(PyExc_ValueError, "columns of different lengths");
    } else {
        Batch batch = {.own = &edges->tables, .lon = lon.buf, .lat = lat.buf};
        int done;
        Py_BEGIN_ALLOW_THREADS
        done = match_all(&batch, lon.len / 8);
        Py_END_ALLOW_THREADS
        made = done < 0 ? PyErr_NoMemory() : columns_of(&batch);
        forget(&batch.inside);
        forget(&batch.unsure);
    }
    PyBuffer_Release(&lat);
    PyBuffer_Release(&lon);
    return made;
}

/* The polygons of one position: pairs of number and distance; None if any is unsure. */
static PyObject *edges_match_one(Edges *edges, PyObject *const *args, Py_ssize_t count)
{
    double lon = count == 2 ? PyFloat_AsDouble(args[0]) : -1;
    double lat = count == 2 ? PyFloat_AsDouble(args[1]) : -1;
    if (PyErr_Occurred())
        return NULL;
    if (count != 2)
        return PyErr_Format(PyExc_TypeError, "match_one is asked of a longitude and a latitude");
    Batch batch = {.own = &edges->tables, .lon = &lon, .lat = &lat};
    PyObject *made = NULL;
    const Found *inside = &batch.inside;
    if (match_all(&batch, 1) < 0)
        PyErr_NoMemory();
    else if (batch.unsure.count)
        made = Py_NewRef(Py_None);
    else
        made = PyList_New(inside->count);
    for (Py_ssize_t nth = 0; made && made != Py_None && nth < inside->count; nth++) {
        PyObject *pair = Py_BuildValue("(id)", inside->ix[nth], inside->edge_m[nth]);
        if (pair)
            PyList_SET_ITEM(made, nth, pair);
        else
            Py_CLEAR(made);
    }
    forget(&batch.inside);
    forget(&batch.unsure);
    return made;
}

/* Take up the tables of the grid. */
static PyObject *edges_find_by(Edges *edges, PyObject *args)
{
    Tables *own = &edges->tables;
    const char *fault = NULL;
    PyObject *of[6];
    Py_ssize_t levels, marks, starts, items, cells, keys;
    if (own->levels || !own->cells) {
        PyErr_SetString(PyExc_TypeError, "a grid is taken up once, after the cells");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "diOOOOOO:find_by", &own->per_deg, &own->marks_coarser, &of[0],
                          &of[1], &of[2], &of[3], &of[4], &of[5]) ||
        view(edges, of[0], sizeof(Level), &own->levels, &levels) < 0 ||
        view(edges, of[1], 1, &own->marks, &marks) < 0 ||
        view(edges, of[2], 4, &own->start, &starts) < 0 ||
        view(edges, of[3], 4, &own->items, &items) < 0 ||
        view(edges, of[4], 8, &own->keys, &keys) < 0 ||
        view(edges, of[5], 4, &own->item_cells, &cells) < 0)
        return NULL;
    if (levels > LEVELS_MAX || own->marks_coarser < 0 || own->marks_coarser > MARKS_COARSER_MAX ||
        items != cells || items != keys || !starts || (levels && !marks) || (marks & (marks - 1)))
        fault = "tables of different sizes";
    own->level_count = levels;
    own->mark_mask = (uint32_t)(marks - 1);
    if (!fault) {
        Py_BEGIN_ALLOW_THREADS
        fault = fault_of_grid(own, starts, items);
        Py_END_ALLOW_THREADS
    }
    if (!fault)
        Py_RETURN_NONE;
    own->level_count = 0; /* what was refused is not looked into */
    PyErr_SetString(PyExc_ValueError, fault);
    return NULL;
}

/* What `cells` gives back: columns and rows, kinds, where each begins, and what is kept of them. */
static PyObject *told(const Tables *own, int32_t ix, const Raster *in)
{
    int32_t most = in->width * in->height, cells = 0, end = 0;
    int32_t *places = PyMem_Malloc(12 * (size_t)most);
    uint8_t *kinds = PyMem_Malloc(most);
    int32_t *kept = PyMem_Malloc((8 + sizeof(Run) * RUNS_MAX) * (size_t)most);
    PyObject *made = NULL;
    if (!places || !kinds || !kept) {
        PyErr_NoMemory();
    } else {
        int32_t *column = places, *row = places + most, *begins = row + most;
        for (int32_t at = 0; at < most; at++) {
            if (in->kinds[at] == OUTER)
                continue;
            int32_t count = list_runs(own, ix, in, at, (Run *)(kept + end + 2));
            column[cells] = (int32_t)(in->column + at % in->width);
            row[cells] = (int32_t)(in->row + at / in->width);
            begins[cells] = end;
            kinds[cells++] = in->kinds[at];
            kept[end] = in->kinds[at];
            kept[end + 1] = count;
            end += 2 + 2 * count;
        }
        Py_ssize_t bytes = 4 * (Py_ssize_t)cells;
        made = Py_BuildValue("y#y#y#y#y#", (char *)column, bytes, (char *)row, bytes,
                             (char *)kinds, (Py_ssize_t)cells, (char *)begins, bytes,
                             (char *)kept, 4 * (Py_ssize_t)end);
    }
    PyMem_Free(places);
    PyMem_Free(kinds);
    PyMem_Free(kept);
    return made;
}

static PyObject *edges_cells(Edges *edges, PyObject *args)
{
    const Tables *own = &edges->tables;
    int ix;
    long long column, row;
    Raster raster;
    if (!PyArg_ParseTuple(args, "iLLii:cells", &ix, &column, &row, &raster.width,
                          &raster.height) ||
        !is_known(own, ix))
        return NULL;
    raster.column = column;
    raster.row = row;
    raster.per_deg = own->planes[ix].per_deg;
    if (raster.width < 1 || raster.height < 1 || (double)raster.width * raster.height > 1e6) {
        PyErr_SetString(PyExc_ValueError, "a polygon in no cells, or in over a million");
        return NULL;
    }
    raster.kinds = PyMem_Calloc((size_t)raster.width * raster.height, 1);
    if (!raster.kinds)
        return PyErr_NoMemory();
    mark(own, ix, &raster);
    PyObject *made = told(own, ix, &raster);
    PyMem_Free(raster.kinds);
    return made;
}

/* Take up what is kept of the cells of all polygons. */
static PyObject *edges_keep(Edges *edges, PyObject *cells)
{
    if (edges->tables.cells) {
        PyErr_SetString(PyExc_TypeError, "cells are kept once");
        return NULL;
    }
    if (view(edges, cells, 4, &edges->tables.cells, &edges->tables.cells_end) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef edges_methods[] = {
    {"measure", (PyCFunction)edges_measure, METH_VARARGS, PyDoc_STR("Signed distances, metres.")},
    {"cells", (PyCFunction)edges_cells, METH_VARARGS, PyDoc_STR("A polygon's, of a box.")},
    {"keep", (PyCFunction)edges_keep, METH_O, PyDoc_STR("The cells of all polygons.")},
    {"find_by", (PyCFunction)edges_find_by, METH_VARARGS, PyDoc_STR("The grid's tables.")},
    {"match", (PyCFunction)edges_match, METH_VARARGS, PyDoc_STR("What positions are inside of.")},
    {"match_one", (PyCFunction)(void (*)(void))edges_match_one, METH_FASTCALL,
     PyDoc_STR("What one position is inside of.")},
    {NULL},
};

static PyTypeObject EdgesType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "geoengine.core.space._edges.Edges",
    .tp_doc = PyDoc_STR("The edges of polygons, by place."),
    .tp_basicsize = sizeof(Edges),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = PyType_GenericNew, /* all zero: nothing is held yet */
    .tp_init = (initproc)edges_init,
    .tp_dealloc = (destructor)edges_dealloc,
    .tp_methods = edges_methods,
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_edges", "Distances to the edges of polygons.", -1, NULL,
};

PyMODINIT_FUNC PyInit__edges(void)
{
    PyObject *made = PyModule_Create(&module);
    if (made && PyModule_AddType(made, &EdgesType) < 0)
        Py_CLEAR(made);
    return made;
}
