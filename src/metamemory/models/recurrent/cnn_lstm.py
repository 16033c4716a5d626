"""CNN+LSTM (Babu et al. 2021, Table 2): a CNN pre-trained with MAML, trained on together with an LSTM on its features.

The method, its equations and its departures are in `bases.cnn_lstm`.
"""

from metamemory.models.recurrent.cnn_lstm_base import PretrainedCNNLSTM


class CNNLSTM(PretrainedCNNLSTM):
    """The pre-trained CNN goes on learning in the stream.

    Example:
        >>> learner = CNNLSTM((1, 28, 28), n_way=5)
        >>> learner(torch.rand(25, 8, 1, 28, 28), torch.full((25, 8), -1)).shape
        torch.Size([25, 8, 5])
        >>> support, queries = torch.rand(5, 8, 1, 28, 28), torch.rand(25, 8, 1, 28, 28)
        >>> learner.adapt_and_answer(support, torch.arange(5)[:, None].expand(5, 8), queries).shape
        torch.Size([25, 8, 5])
    """

    frozen = False
