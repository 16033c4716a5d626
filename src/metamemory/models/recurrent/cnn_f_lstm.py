"""CNN-F+LSTM (Babu et al. 2021, Table 2): a CNN pre-trained with MAML and then frozen, and an LSTM on its features.

The method, its equations and its departures are in `bases.cnn_lstm`.
"""

from metamemory.models.recurrent.cnn_lstm_base import PretrainedCNNLSTM


class CNNFLSTM(PretrainedCNNLSTM):
    """The pre-trained CNN stays as it is in the stream, from which no gradient reaches it."""

    frozen = True
